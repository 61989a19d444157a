import { tcp } from './behaviours/tcp.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(tcp)
