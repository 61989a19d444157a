/** The codec's own answer to bytes that never became a request: plain, final, and saying what is wrong. */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { dateText } from '../http/date.ts'
import { reasonPhrase } from '../http/reason-phrases.ts'

/** The status for a request refused with `error`. */
export function refusalStatus(error: ProxyError): number {
  switch (error.code) {
    case ErrorCode.HeadersTooLarge:
    case ErrorCode.TooManyHeaders:
      return 431
    case ErrorCode.UriTooLong:
      return 414
    case ErrorCode.UnsupportedTransferEncoding:
      return 501
    case ErrorCode.UnsupportedVersion:
      return 505
    case ErrorCode.ExpectationFailed:
      return 417
    case ErrorCode.BodyTooLarge:
      return 413
    case ErrorCode.RequestHeaderTimeout:
    case ErrorCode.RequestTimeout:
    case ErrorCode.StreamIdle:
      return 408
    default:
      return 400
  }
}

/** The whole reply, its text Envoy's and then ours; `headOnly` for HEAD. */
export function refusalText(error: ProxyError, headOnly: boolean): string {
  const status = refusalStatus(error)
  const phrase = reasonPhrase(status)
  const body = `${phrase}\n\n${error.message}\n`
  const head =
    `HTTP/1.1 ${status} ${phrase}\r\ndate: ${dateText()}\r\n` +
    `content-type: text/plain\r\ncontent-length: ${body.length}\r\n` +
    `x-outrider-reason: ${error.detail}\r\nconnection: close\r\n\r\n`
  return headOnly ? head : head + body
}

/** The failure of a request whose client went away. */
export function clientGone(cause: ProxyError | undefined): ProxyError {
  return new ProxyError(ErrorCode.DownstreamClosed, Side.Downstream, {
    message: 'The client closed the connection before its reply was complete.',
    cause,
  })
}
