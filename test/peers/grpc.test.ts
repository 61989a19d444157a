import { grpc, keeping } from './behaviours/grpc.ts'
import { compareWithEnvoy } from './side-by-side.ts'

await compareWithEnvoy([...grpc, ...keeping])
