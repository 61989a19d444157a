import { edits } from './behaviours/edits.ts'
import { operators } from './behaviours/operators.ts'
import { schemeBehaviours } from './behaviours/schemes.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy([...edits, ...operators, ...schemeBehaviours])
