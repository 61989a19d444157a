import { origination, tls } from './behaviours/tls.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy([...tls, ...origination])
