/** Everything that can go wrong with a request, as a table: what is done, and what it must look like. */
import { type Script, statuses } from '../peers/upstream.ts'

/** What goes wrong, and what client and log are to see of it (proxy-semantics 2.15). */
export interface Fault {
  readonly name: string
  /** The endpoint; a port that nobody listens on where there is none. */
  readonly endpoint?: Script | 'none' | 'refused' | 'silent'
  /** Of the VirtualService's only rule, after its destination. */
  readonly rule?: string
  readonly subset?: string
  /** Of the DestinationRule. */
  readonly policy?: string
  readonly yaml?: string
  /** Default: a GET to web. */
  readonly request?: string
  /** Ends the client's connection when the endpoint has the request. */
  readonly clientLeaves?: true
  /** Requests under way before this one. */
  readonly before?: number
  readonly status: number
  readonly flags: string
  readonly details: string
  /** What the reply says, as the client reads it. */
  readonly reply?: RegExp
  readonly attempts?: number
}

export const get = 'GET /x HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'
const closing: Script = (call) => void call.socket.end()
const resetting: Script = (call) => call.reset()
const silent: Script = () => undefined
const says =
  (
    text: string,
    after: (socket: Parameters<Script>[0]['socket']) => void = () => undefined,
  ): Script =>
  (call) => {
    call.raw(text)
    setImmediate(after, call.socket)
  }
const end = (socket: { end(): void }) => socket.end()
const half = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe first part'
const before = 'upstream_reset_before_response_started'
const after = 'upstream_reset_after_response_started'
const connectText = 'upstream connect error or disconnect/reset before headers. reset reason: '
const registryOnly = `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: strict }
spec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
`

export const faults: readonly Fault[] = [
  {
    name: 'the service has no endpoints',
    endpoint: 'none',
    status: 503,
    flags: 'UH',
    details: 'no_healthy_upstream',
    reply: /^no healthy upstream\n/,
    attempts: 0,
  },
  {
    name: 'a subset selects nothing',
    endpoint: statuses(200),
    subset: 'v9',
    policy: 'subsets: [{ name: v9, labels: { version: v9 } }]',
    status: 503,
    flags: 'UH',
    details: 'no_healthy_upstream',
    reply: /carries version=v9/,
  },
  {
    name: 'a subset that no rule defines',
    endpoint: statuses(200),
    subset: 'v9',
    status: 503,
    flags: 'NC',
    details: 'cluster_not_found',
  },
  {
    name: 'nobody listens',
    endpoint: 'refused',
    status: 503,
    flags: 'UF,URX',
    details: `${before}{remote_connection_failure}`,
    reply:
      /^upstream .* headers. retried and the latest reset reason: remote connection failure\n[\s\S]*ECONNREFUSED[\s\S]*tried 3 times/,
    attempts: 3,
  },
  {
    name: 'nobody listens, and nothing is retried',
    endpoint: 'refused',
    rule: 'retries: { attempts: 0 }',
    status: 503,
    flags: 'UF',
    details: `${before}{remote_connection_failure}`,
    attempts: 1,
  },
  {
    name: 'connecting takes too long',
    endpoint: 'silent',
    rule: 'retries: { attempts: 0 }',
    policy: 'trafficPolicy: { connectionPool: { tcp: { connectTimeout: 60ms } } }',
    status: 503,
    flags: 'UF',
    details: `${before}{connection_timeout}`,
    reply: new RegExp(`^${connectText}connection timeout\n`),
  },
  {
    name: 'the endpoint closes before it answers',
    endpoint: closing,
    status: 503,
    flags: 'UC',
    details: `${before}{connection_termination}`,
    reply: new RegExp(`^${connectText}connection termination\n`),
    attempts: 1,
  },
  {
    name: 'the endpoint resets the connection before it answers',
    endpoint: resetting,
    status: 503,
    flags: 'UC',
    details: `${before}{connection_termination}`,
  },
  {
    name: 'the endpoint closes inside the head',
    endpoint: says('HTTP/1.1 200 OK\r\nConte', end),
    status: 502,
    flags: 'UPE',
    details: `${before}{protocol_error}`,
  },
  {
    name: 'the endpoint closes inside the body',
    endpoint: says(half, end),
    status: 200,
    flags: 'UPE',
    details: `${after}{protocol_error}`,
    reply: /the first part$/,
  },
  {
    name: 'the endpoint resets inside the body',
    endpoint: says(half, (socket) => socket.resetAndDestroy()),
    status: 200,
    flags: 'UPE',
    details: `${after}{protocol_error}`,
  },
  {
    name: 'the endpoint does not speak HTTP',
    endpoint: says('220 mail.example ESMTP\r\n'),
    status: 502,
    flags: 'UPE',
    details: `${before}{protocol_error}`,
    reply: new RegExp(`^${connectText}protocol error\n`),
  },
  {
    name: 'chunks turn out to be none',
    endpoint: says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n'),
    status: 200,
    flags: 'UPE',
    details: `${after}{protocol_error}`,
  },
  {
    name: 'no answer within the timeout of the rule',
    endpoint: silent,
    rule: 'timeout: 80ms',
    status: 504,
    flags: 'UT',
    details: 'response_timeout',
    reply: /^upstream request timeout\n/,
  },
  {
    name: 'no end of the answer within the timeout of the rule',
    endpoint: says(half),
    rule: 'timeout: 80ms',
    status: 200,
    flags: 'UT',
    details: 'response_timeout',
    reply: /the first part$/,
  },
  {
    name: 'no answer within the limit of a try',
    endpoint: silent,
    rule: 'retries: { attempts: 1, perTryTimeout: 60ms, retryOn: connect-failure }',
    status: 504,
    flags: 'UT',
    details: 'upstream_per_try_timeout',
    attempts: 1,
  },
  {
    name: 'no answer within the limit of every try',
    endpoint: silent,
    rule: 'retries: { attempts: 1, perTryTimeout: 60ms, retryOn: reset, backoff: 1ms }',
    status: 504,
    flags: 'URX,UT',
    details: 'upstream_per_try_timeout',
    attempts: 2,
  },
  {
    name: 'the endpoint refuses, and refuses again',
    endpoint: statuses(503),
    rule: 'retries: { attempts: 1, retryOn: "503", backoff: 1ms }',
    status: 503,
    flags: 'URX',
    details: 'via_upstream',
    reply: /^said 503$/,
    attempts: 2,
  },
  {
    name: 'more requests than http2MaxRequests',
    endpoint: silent,
    policy: 'trafficPolicy: { connectionPool: { http: { http2MaxRequests: 1 } } }',
    before: 1,
    status: 503,
    flags: 'UO',
    details: `${before}{overflow}`,
    reply:
      /x-envoy-overloaded: true[\s\S]*reset reason: overflow\n[\s\S]*http2MaxRequests is 1 and 1/,
  },
  {
    name: 'no room to wait for a connection',
    endpoint: silent,
    policy:
      'trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } }',
    before: 2,
    status: 503,
    flags: 'UO',
    details: `${before}{overflow}`,
    reply: /x-envoy-overloaded: true[\s\S]*http1MaxPendingRequests is 1 and 1/,
  },
  {
    name: 'no retry beyond maxRetries: the first answer counts',
    endpoint: (call) => {
      if (call.seen.target === '/x') call.reply(500, 'mine')
      else if (call.total === 1) call.reply(500)
    },
    rule: 'retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }',
    policy: 'trafficPolicy: { connectionPool: { http: { maxRetries: 1 } } }',
    before: 1,
    status: 500,
    flags: 'UO',
    details: 'via_upstream',
    reply: /^mine$/,
    attempts: 1,
  },
  {
    name: 'no rule matches',
    endpoint: statuses(200),
    rule: 'match: [{ uri: { exact: /other } }]',
    status: 404,
    flags: 'NR',
    details: 'route_not_found',
    attempts: 0,
  },
  {
    name: 'an unknown host under REGISTRY_ONLY',
    yaml: registryOnly,
    request: get.replace('web', 'nowhere.example'),
    status: 502,
    flags: '-',
    details: 'unknown_destination',
    reply: /kind: ServiceEntry/,
  },
  {
    name: 'an upgrade to something else than websocket',
    endpoint: statuses(200),
    request: 'GET /x HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: magic\r\n\r\n',
    status: 403,
    flags: '-',
    details: 'upgrade_failed',
  },
  {
    name: 'a path that cannot be normalised',
    endpoint: statuses(200),
    request: get.replace('/x', '/a%00b'),
    status: 400,
    flags: 'DPE',
    details: 'path_normalization_failed',
  },
  {
    name: 'more than 100 header fields',
    endpoint: statuses(200),
    request: get.replace('Connection', `${'A: b\r\n'.repeat(101)}Connection`),
    status: 431,
    flags: 'DPE',
    details: 'http1.too_many_headers',
  },
  {
    name: 'a head that is too large',
    endpoint: statuses(200),
    request: get.replace('Connection', `A: ${'b'.repeat(70_000)}\r\nConnection`),
    status: 431,
    flags: 'DPE',
    details: 'http1.headers_too_large',
  },
  {
    name: 'two lengths',
    endpoint: statuses(200),
    request: get.replace('Connection', 'Content-Length: 1\r\nContent-Length: 2\r\nConnection'),
    status: 400,
    flags: 'DPE',
    details: 'http1.repeated_content_length',
  },
  {
    name: 'the client leaves while it waits',
    endpoint: silent,
    clientLeaves: true,
    status: 0,
    flags: 'DC',
    details: 'downstream_remote_disconnect',
  },
  {
    name: 'the client leaves inside the reply',
    endpoint: says(half),
    clientLeaves: true,
    status: 200,
    flags: 'DC',
    details: 'downstream_remote_disconnect',
  },
]
