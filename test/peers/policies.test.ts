import { policies } from './behaviours/policies.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(policies)
