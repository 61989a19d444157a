import { faults } from './behaviours/faults.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(faults)
