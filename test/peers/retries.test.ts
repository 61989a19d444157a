import { retries } from './behaviours/retries.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(retries)
