/** Builders of route specs and requests with everything a test does not name left plain. */
import type {
  DestinationSpec,
  ForwardSpec,
  HeaderEditsSpec,
  HeaderOperationsSpec,
  Origin,
  RouteActionSpec,
  RouteMatchSpec,
  RouteSpec,
  StringMatchSpec,
  VirtualHostSpec,
} from '../../config/snapshot.ts'
import { RequestHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'

export function originAt(line: number, file = 'routes.yaml'): Origin {
  return { kind: 'VirtualService', namespace: 'default', name: 'reviews', file, line }
}

export const noOperations: HeaderOperationsSpec = { remove: [], set: [], add: [] }
export const noEdits: HeaderEditsSpec = { request: noOperations, response: noOperations }

export function text(
  kind: StringMatchSpec['kind'],
  value = '',
  more: Partial<StringMatchSpec> = {},
): StringMatchSpec {
  return { kind, value, ignoreCase: false, line: 1, ...more }
}

export function matching(conditions: Partial<RouteMatchSpec>): RouteMatchSpec {
  return {
    uri: undefined,
    scheme: undefined,
    method: undefined,
    authority: undefined,
    headers: [],
    withoutHeaders: [],
    queryParams: [],
    ...conditions,
  }
}

export function destination(cluster: string, more: Partial<DestinationSpec> = {}): DestinationSpec {
  return { cluster, weight: 100, headers: noEdits, origin: originAt(1), ...more }
}

export function forwardTo(cluster: string, more: Partial<ForwardSpec> = {}): ForwardSpec {
  return {
    kind: 'forward',
    destinations: [destination(cluster)],
    rewrite: undefined,
    timeoutMs: undefined,
    retries: {
      attempts: 2,
      perTryTimeoutMs: undefined,
      retryOn: ['connect-failure'],
      statusCodes: [],
      backoffMs: 25,
      ignorePreviousHosts: true,
      remoteLocalities: false,
      origin: undefined,
    },
    headers: noEdits,
    ...more,
  }
}

export function route(
  name: string,
  match: RouteMatchSpec | undefined,
  action: RouteActionSpec = forwardTo(name),
): RouteSpec {
  return { name, path: 'http[0]', origin: originAt(1), match, action }
}

export function virtualHost(
  domains: readonly string[],
  routes: readonly RouteSpec[],
  more: Partial<VirtualHostSpec> = {},
): VirtualHostSpec {
  return {
    name: `${domains[0]}:9080`,
    domains,
    routes,
    skipped: [],
    origin: originAt(1),
    ...more,
  }
}

/** `GET /path` with header fields as pairs; the authority is that of a Host among them. */
export function request(
  method: string,
  target: string,
  fields: ReadonlyArray<readonly [name: string, value: string]> = [],
): RequestHead {
  const head = new RequestHead(method, target, 11, new Headers())
  for (const [name, value] of fields) head.headers.append(name, value)
  head.authority = head.headers.get('host') ?? ''
  return head
}
