import { messages } from './behaviours/messages.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(messages)
