import { ancient, malformed } from './behaviours/malformed.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy([...malformed, ...ancient])
