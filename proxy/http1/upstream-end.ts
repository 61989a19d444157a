/** How an upstream connection ends, in words that retry decisions can be built on. */
import { latin1 } from '../base/bytes.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { Fault, replyError } from './faults.ts'
import type { Http1UpstreamStream } from './upstream-stream.ts'

/**
 * Closed while a reply head was awaited. The detail `closed_before_reply` says that not a single byte of
 * a reply came: on a reused connection that is how a keep-alive race looks.
 */
export function closedAwaitingReply(
  stream: Http1UpstreamStream,
  headBytes: number,
  cause: ProxyError | undefined,
): ProxyError {
  if (headBytes > 0) return cutError('closed_in_head', cause)
  const detail = stream.interimReplies > 0 ? 'closed_after_interim_reply' : 'closed_before_reply'
  return closedError(detail, cause)
}

export function closedError(detail: string, cause: ProxyError | undefined): ProxyError {
  const message =
    detail === 'closed_before_reply'
      ? `The upstream closed the connection before it replied${alertIn(cause)}.`
      : 'The upstream closed the connection before its reply was complete.'
  return new ProxyError(ErrorCode.UpstreamClosed, Side.Upstream, { detail, message, cause })
}

/** What a server that speaks TLS says as it closes, as for a certificate that it misses. */
function alertIn(failure: ProxyError | undefined): string {
  const { code = '' } = (failure?.cause ?? {}) as NodeJS.ErrnoException
  const [, alert] = /^ERR_SSL_\w*?ALERT_(\w+)$/.exec(code) ?? []
  return alert === undefined
    ? ''
    : `, with the TLS alert "${alert.toLowerCase().replaceAll('_', ' ')}"`
}

/** Closed inside a head or a body: as Envoy sees it, a breach of HTTP rather than a connection that went. */
export function cutError(
  detail: 'closed_in_head' | 'closed_in_body',
  cause: ProxyError | undefined,
): ProxyError {
  const message = 'The upstream closed the connection before its reply was complete.'
  return new ProxyError(ErrorCode.UpstreamProtocol, Side.Upstream, { detail, message, cause })
}

/** Bytes while idle poison a connection; a 408 is a server's usual courtesy before it closes: no error. */
export function unsolicitedBytes(
  bytes: Buffer,
  start: number,
  end: number,
): ProxyError | undefined {
  const begin = latin1(bytes, start, Math.min(end, start + 12))
  const courtesy = begin.startsWith('HTTP/1.') && begin.endsWith(' 408')
  return courtesy ? undefined : replyError(Fault.Unsolicited)
}
