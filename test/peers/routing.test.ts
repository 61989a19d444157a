import { routing } from './behaviours/routing.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy(routing)
