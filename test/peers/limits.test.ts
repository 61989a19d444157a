import { balancing } from './behaviours/balancing.ts'
import { limits } from './behaviours/limits.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy([...limits, ...balancing])
