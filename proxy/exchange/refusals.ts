/** The failures an exchange finds before anything is sent: what happened, in one sentence each. */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { RequestHead } from '../http/head.ts'
import type { Address } from '../net/address.ts'

export function unusablePath(target: string): ProxyError {
  return new ProxyError(ErrorCode.BadRequest, Side.Downstream, {
    message: `the path ${JSON.stringify(target.slice(0, 200))} cannot be normalised`,
    detail: 'path_normalization_failed',
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

/** REGISTRY_ONLY: the body prints what would allow it. */
export function unknownHost(authority: string, port: number): ProxyError {
  return new ProxyError(ErrorCode.UnknownDestination, Side.Proxy, {
    message: `${authority} on port ${port} is no known service, and the outbound policy is REGISTRY_ONLY`,
  })
}

/** The ServiceEntry that would make an unknown host known; `` where `error` is something else, a loop. */
export function serviceEntryHint(
  error: ProxyError,
  { authority }: RequestHead,
  dialed: Address | undefined,
): string {
  if (error.code !== ErrorCode.UnknownDestination) return ''
  const host = authority.replace(/:\d+$/, '')
  const port = dialed?.port ?? (/:(\d+)$/.exec(authority)?.[1] || '80')
  return `This would allow it:
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replace(/[^a-z0-9]+/gi, '-').toLowerCase()} }
spec:
  hosts: [${JSON.stringify(host)}]
  ports: [{ number: ${port}, name: http, protocol: HTTP }]
  resolution: DNS
  location: MESH_EXTERNAL`
}
