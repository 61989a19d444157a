import { failures } from './behaviours/failures.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(failures)
