import { inbound } from './behaviours/inbound.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(inbound)
