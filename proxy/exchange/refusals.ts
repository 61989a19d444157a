/** The failures an exchange finds before anything is sent: what happened, in one sentence each. */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { RequestHead } from '../http/head.ts'
import type { Address } from '../net/address.ts'
import { serviceEntryText } from './service-entry-text.ts'

export function unusablePath(target: string): ProxyError {
  return new ProxyError(ErrorCode.BadRequest, Side.Downstream, {
    message: `the path ${JSON.stringify(target.slice(0, 200))} cannot be normalised`,
    detail: 'path_normalization_failed',
  })
}

/** filters/regex.ts bounds what expressions may cost. */
export function tooMuchMatching(pattern: string): ProxyError {
  return new ProxyError(ErrorCode.BadRequest, Side.Downstream, {
    message: `holding this request against the expression ${JSON.stringify(pattern)} takes more work than one request may cost`,
    detail: 'regex_work_exceeded',
  })
}

export function noHost(): ProxyError {
  return new ProxyError(ErrorCode.BadRequest, Side.Downstream, {
    message: 'the request names no host',
    detail: 'missing_host_header',
  })
}

export function noRoute(host: string, target: string): ProxyError {
  return new ProxyError(ErrorCode.RouteNotFound, Side.Proxy, {
    message: `no rule of ${host} matches ${target.slice(0, 200)}`,
  })
}

/** `name` is Istio's cluster name, `outbound|9080|v9|reviews.default.svc.cluster.local`. */
export function noCluster(name: string): ProxyError {
  const [, port, subset, host] = name.split('|')
  const part = subset === '' ? `port ${port}` : `subset ${subset} on port ${port}`
  return new ProxyError(ErrorCode.ClusterNotFound, Side.Proxy, {
    message: `the rule sends this to ${host ?? name}, ${part}, which does not exist`,
  })
}

export function upgradeRefused(token: string): ProxyError {
  return new ProxyError(ErrorCode.UpgradeRefused, Side.Proxy, {
    message: `an upgrade to ${token} is not allowed, only one to websocket`,
  })
}

export function routeTimeout(timeoutMs: number): ProxyError {
  const message = `no complete reply within the route's timeout of ${timeoutMs} ms`
  return new ProxyError(ErrorCode.ResponseTimeout, Side.Upstream, { message })
}

/** As a gRPC server tells it: DEADLINE_EXCEEDED. */
export function callerTimeout(timeoutMs: number): ProxyError {
  const message = `no complete reply within the ${timeoutMs} ms that the caller gave it (grpc-timeout)`
  return new ProxyError(ErrorCode.CallerDeadline, Side.Upstream, { message })
}

/** REGISTRY_ONLY: the body prints what would allow it. */
export function unknownHost(authority: string, port: number): ProxyError {
  return new ProxyError(ErrorCode.UnknownDestination, Side.Proxy, {
    message: `${authority} on port ${port} is no known service, and the outbound policy is REGISTRY_ONLY`,
  })
}

/** The ServiceEntry that would make an unknown host known; `` where `error` is something else, a loop. */
export function serviceEntryHint(
  error: ProxyError,
  { authority, method }: RequestHead,
  dialed: Address | undefined,
): string {
  if (error.code !== ErrorCode.UnknownDestination) return ''
  const [, host = authority, written = '80'] = /^(.*?):(\d+)$/.exec(authority) ?? []
  const port = dialed?.port ?? Number(written)
  const protocol = method === 'CONNECT' ? 'TLS' : 'HTTP'
  const text = serviceEntryText({ host, address: dialed?.address, port, protocol })
  return `This would allow it:\n${text}`
}
