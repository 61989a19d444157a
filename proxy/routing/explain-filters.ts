/** What the filters of a rule do with a request, in the order in which they run. */
import type {
  CorsSpec,
  FaultSpec,
  ForwardSpec,
  MirrorSpec,
  Origin,
  Snapshot,
} from '../../config/snapshot.ts'
import { faultText, shareText } from '../filters/fault-plan.ts'
import type { RequestHead } from '../http/head.ts'
import { stickyText } from './explain-sticky.ts'
import { TextTest } from './text-test.ts'

export interface FilterOutcome {
  /** One word: `sticky`, `fault`, `cors`, `mirror`. */
  readonly name: string
  /** One sentence without its end mark. */
  readonly text: string
  readonly origin: Origin
}

export function explainFilters(
  forward: ForwardSpec,
  head: RequestHead,
  { clusters }: Pick<Snapshot, 'clusters'>,
): FilterOutcome[] {
  const { cors, faults, mirrors = [], sticky } = forward
  const found: FilterOutcome[] = []
  if (sticky !== undefined)
    found.push({ name: 'sticky', text: stickyText(forward, head), origin: sticky.origin })
  for (const fault of faults?.beforeRetries ?? [])
    found.push({ name: 'fault', text: faultLine(fault, 'requests'), origin: fault.origin })
  for (const fault of faults?.eachTry ?? [])
    found.push({ name: 'fault', text: faultLine(fault, 'tries'), origin: fault.origin })
  if (cors !== undefined)
    found.push({ name: 'cors', text: corsText(cors, head), origin: cors.origin })
  for (const mirror of mirrors) {
    const text = mirrorText(mirror, clusters.has(mirror.cluster))
    found.push({ name: 'mirror', text, origin: mirror.origin })
  }
  return found
}

function faultLine({ action, share }: FaultSpec, of: string): string {
  return `${shareText(share)} of the ${of} are ${faultText(action)}, on purpose`
}

function mirrorText({ cluster, fraction }: MirrorSpec, known: boolean): string {
  if (!known) return `no copies: there is no ${cluster}`
  const of = fraction === 1 ? 'every request' : `${fraction * 100} % of the requests`
  return `a copy of ${of} goes to ${cluster}`
}

function corsText(cors: CorsSpec, { headers, method }: RequestHead): string {
  const origin = headers.get('origin')
  if (origin === undefined || origin === '') return 'no Origin: nothing is added'
  const allowed = cors.allowOrigins
    .map(TextTest.of)
    .some((one) => one.test('*') || one.test(origin))
  const preflight =
    method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== ''
  if (allowed)
    return preflight
      ? `preflight, answered 200 by the proxy itself: ${origin} is allowed`
      : `the reply allows ${origin}`
  if (!preflight) return `${origin} is not allowed: the reply stays as it is`
  return cors.unmatchedPreflights === 'FORWARD'
    ? `preflight, sent on: ${origin} is not allowed`
    : `preflight, answered 200 by the proxy itself without allowing ${origin}`
}
