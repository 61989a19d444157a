/** Every difference from Envoy that is accepted, with its reason: in one place, and shown in docs/envoy.md. */

export const reasons = {
  server: {
    what: 'The `server` field of replies is the application’s; Envoy writes `istio-envoy` over it.',
    why: 'The reply is the application’s.',
  },
  'own-words': {
    what: 'Replies made by the proxy begin with Envoy’s text, then say more; `x-outrider-reason` and `x-outrider-origin` name what decided.',
    why: 'Explaining itself is what Outrider is for.',
  },
  'reason-code': {
    what: 'The response code details of some refusals say what was refused, where Envoy names the mechanism.',
    why: '`unknown_destination` tells more than `direct_response`.',
  },
  'transport-words': {
    what: 'The details of a failed connection end at the reset reason; Envoy adds what the transport said (`|delayed_connect_error:_Connection_refused`, `|TLS_error:…`).',
    why: 'The transport’s own words have an operator of their own, %UPSTREAM_TRANSPORT_FAILURE_REASON%.',
  },
  'tcp-details': {
    what: 'TCP connections that did not end well have details too; Envoy leaves them empty.',
    why: 'A flag alone does not say what happened.',
  },
  'tcp-reset': {
    what: 'A TCP client whose endpoint cannot be reached gets a reset; Envoy ends the connection with FIN.',
    why: 'It is what the client would see without a proxy: an error rather than an empty answer.',
  },
  'never-tried': {
    what: 'A request for which there was no endpoint counts no attempt; Envoy counts one.',
    why: 'Nothing was tried.',
  },
  'absolute-query': {
    what: 'A target `http://host?query` is the path `/` with that query; Envoy refuses it with 404.',
    why: 'RFC 9112 3.2.1: an empty path is sent as `/`.',
  },
  'protocol-flag': {
    what: 'Every request that is refused as malformed is logged with the flag DPE; Envoy leaves it out where its codec accepted the bytes (no Host, an escaped NUL in the path).',
    why: 'One flag finds them all.',
  },
  'stays-open': {
    what: 'After refusing a whole, well-framed request the connection stays open; Envoy closes it.',
    why: 'Nothing about its framing is in doubt.',
  },
  strict: {
    what: 'Bare CR and LF, folded lines, two Host lines and Transfer-Encoding in HTTP/1.0 are refused with 400; Envoy mends or accepts them.',
    why: 'Two readers that disagree about lines or lengths can be made to disagree about requests (RFC 9112 2.2, 3.2, 5.2, 6.1).',
  },
  'strict-replies': {
    what: 'Replies with bare LF, folded lines or a version other than 1.x are taken for what is no HTTP (502); Envoy mends them.',
    why: 'As for requests: nothing that two readers may read differently is passed on.',
  },
  'client-fin': {
    what: 'A client that sends a whole request and then FIN is answered; Envoy drops the request.',
    why: 'Half-close is legal TCP, and old clients use it.',
  },
  'rfc-status': {
    what: 'A target that is too long gets 414 and an unknown version 505; Envoy answers 431 and 426.',
    why: 'RFC 9110 15.5.15 and 15.6.6.',
  },
  'any-method': {
    what: 'Methods nobody knows are passed on; Envoy refuses them with 400.',
    why: 'A method is for the application to judge (RFC 9110 9.1).',
  },
  http10: {
    what: 'HTTP/1.0 is routed and answered; Istio’s Envoy does not accept it as HTTP.',
    why: 'The rule was written for the service, not for a version.',
  },
  'http10-interim': {
    what: 'Interim replies do not reach HTTP/1.0 clients; Envoy sends them.',
    why: 'RFC 9110 15.2.',
  },
  'all-interim': {
    what: 'Every interim reply is passed on, 199 too; Envoy passes the first of those it knows.',
    why: 'RFC 9110 15.2.',
  },
  trailers: {
    what: 'Trailers are passed on in both directions; Envoy drops them.',
    why: 'RFC 9110 6.5.',
  },
  'reply-connection': {
    what: 'Fields that a reply’s `Connection` names are removed, as from requests; Envoy passes them on.',
    why: 'RFC 9110 7.6.1.',
  },
  'service-time': {
    what: 'Replies to upgrade requests tell `x-envoy-upstream-service-time` too.',
    why: 'They are replies like any other.',
  },
  'tunnel-end': {
    what: 'A tunnel that the client ends with FIN passes it on and ended well; Envoy cuts both ways and logs DC.',
    why: 'Half-close is legal, and ending a websocket is no failure.',
  },
  'head-framing': {
    what: 'A reply to HEAD names no Transfer-Encoding; Envoy writes or passes on `chunked`.',
    why: 'There is no body to be framed.',
  },
  'reply-lengths': {
    what: 'A reply with both Content-Length and Transfer-Encoding is read as chunked, and its connection not used again; Envoy answers 502.',
    why: 'RFC 9112 6.3: Transfer-Encoding overrides; nothing can follow that reply.',
  },
  'unasked-switch': {
    what: 'A 101 that nobody asked for is answered with 502; Envoy passes it on.',
    why: 'RFC 9110 15.2.2: what follows would be no HTTP, and the client did not agree to that.',
  },
  'reuse-race': {
    what: 'A request that went out on a kept connection which the endpoint closed without a byte of reply is sent again; Envoy answers 503.',
    why: 'The endpoint had closed before it could know of the request ([differences.md](differences.md)).',
  },
  'no-507': {
    what: 'A body too large to be sent twice rules a retry out, and the first reply goes to the client; one whose length is not known waits while a retry does. Envoy begins the retry and answers 507 when the body outgrows its buffer.',
    why: 'The application’s own reply says more than 507, and a client that is slowed down loses nothing.',
  },
  'retry-after': {
    what: 'A retry waits as long as the reply’s Retry-After asks (up to 10 s); Istio’s Envoy does not look at it.',
    why: 'RFC 9110 10.2.3: who is asked to come back later does.',
  },
  'retry-budget': {
    what: 'Retries that do no good are bounded (20 % of the requests and 10 a second); Istio’s Envoy repeats all.',
    why: 'What is down comes back sooner ([differences.md](differences.md)).',
  },
  'grpc-deadline': {
    what: 'A gRPC call that outlasts its grpc-timeout gets DEADLINE_EXCEEDED (4), with details of its own; Envoy says UNAVAILABLE (14).',
    why: 'It is what the gRPC specification calls it, and callers do not repeat it.',
  },
  'grpc-timeout-made': {
    what: 'A gRPC call without grpc-timeout is sent on without; Envoy adds the timeout of the route.',
    why: '`x-envoy-expected-rq-timeout-ms` tells the endpoint as for all requests.',
  },
  'local-code': {
    what: '`%RESPONSE_CODE%` in a header of a reply that the proxy makes is its status; Envoy writes 0.',
    why: 'It is the code of that reply.',
  },
  'length-operator': {
    what: '`%RESP(content-length)%` has no value in header values; Envoy’s is the length the application gave.',
    why: 'The length is part of the framing, which is made anew.',
  },
  'caller-waits': {
    what: 'The sidecar of the application passes on `x-envoy-expected-rq-timeout-ms`, which the caller’s sidecar wrote; Envoy removes it.',
    why: 'The application can stop working for a caller who is gone.',
  },
  'empty-proto': {
    what: 'An empty `x-forwarded-proto` counts as none; Envoy finds no route.',
    why: 'It says nothing about where the request should go.',
  },
  'absolute-scheme': {
    what: 'The scheme of a target in absolute form (`https://host/`) is ignored in redirects too; Envoy repeats it.',
    why: 'It is what the client wrote, not how it came: x-forwarded-proto says that (istio-observed.md 41).',
  },
  'redirect-port': {
    what: 'A redirect leaves out a default port that Host names.',
    why: 'So does Envoy behind Istio’s own translation (istio-observed.md 29); the plain route compared with here keeps it.',
  },
} as const

export type Reason = keyof typeof reasons

/** Those that hold in so many behaviours that none names them. */
export const everywhereReasons: readonly Reason[] = [
  'server',
  'own-words',
  'reason-code',
  'transport-words',
  'tcp-details',
  'never-tried',
]

/** Reasons for what differs in so many replies that naming it in each behaviour would hide the rest. */
export function everywhereReason(
  path: string,
  outrider: string | undefined,
  envoy: string | undefined,
): Reason | undefined {
  if (/^reply \d+: server$/.test(path) && envoy === 'istio-envoy') return 'server'
  if (/^log \d+: attempts$/.test(path) && outrider === '0' && envoy === '1') return 'never-tried'
  if (/^log \d+: details$/.test(path) && envoy === '' && tcpDetails.has(outrider ?? ''))
    return 'tcp-details'
  if (/^log \d+: details$/.test(path) && envoy?.startsWith(`${outrider?.slice(0, -1)}|`))
    return 'transport-words'
  if (/^log \d+: details$/.test(path) && refusedByCodec(outrider, envoy)) return 'reason-code'
  return undefined
}

const tcpDetails = new Set([
  'connection_termination',
  'downstream_remote_disconnect',
  'connection_failure',
  'connection_timeout',
  'no_healthy_upstream',
  'tcp_session_idle_timeout',
  'overflow',
  'unknown_destination',
])

/** Envoy has one name for nearly all that its parser refuses. */
function refusedByCodec(outrider = '', envoy = ''): boolean {
  const theirs = ['http1.codec_error', 'http.invalid_authority']
  return outrider.startsWith('http1.') && theirs.includes(envoy)
}
