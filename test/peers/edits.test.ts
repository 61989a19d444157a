import { edits } from './behaviours/edits.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(edits)
