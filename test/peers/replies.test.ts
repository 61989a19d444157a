import { replies, twice } from './behaviours/replies.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy([...replies, ...twice])
