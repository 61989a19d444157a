/** Every behaviour that is compared, by what it is about. */
import type { Behaviour } from '../behaviour.ts'
import { balancing } from './balancing.ts'
import { edits } from './edits.ts'
import { failures } from './failures.ts'
import { faults } from './faults.ts'
import { grpc, keeping } from './grpc.ts'
import { inbound } from './inbound.ts'
import { limits } from './limits.ts'
import { ancient, malformed } from './malformed.ts'
import { messages } from './messages.ts'
import { operators } from './operators.ts'
import { policies } from './policies.ts'
import { replies, twice } from './replies.ts'
import { retries } from './retries.ts'
import { routing } from './routing.ts'
import { schemeBehaviours } from './schemes.ts'
import { tcp } from './tcp.ts'
import { origination, tls } from './tls.ts'

export const allBehaviours: ReadonlyArray<readonly [title: string, rows: readonly Behaviour[]]> = [
  ['Routing', routing],
  ['Rewrites, redirects, header edits', [...edits, ...operators, ...schemeBehaviours]],
  ['Messages', messages],
  ['Malformed requests, HTTP/1.0', [...malformed, ...ancient]],
  ['Failures of the application and of the client', failures],
  ['Odd replies', replies],
  ['Retries and timeouts', [...retries, ...twice]],
  ['Kept connections and hopeless retries', keeping],
  ['gRPC callers', grpc],
  ['As the sidecar of the application', inbound],
  ['Limits, balancing, kept connections', [...limits, ...balancing]],
  ['CORS, mirrors, hashing, outliers', policies],
  ['Faults on purpose', faults],
  ['Opaque TCP', tcp],
  ['TLS, passed through and originated', [...tls, ...origination]],
]
