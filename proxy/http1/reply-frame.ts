/** How a reply is framed for the client that asked: the sending half of RFC 9112 6. */
import { BodyKind, type BodyLength } from '../http/body.ts'
import type { RequestHead, ResponseHead } from '../http/head.ts'
import { BodyFrame } from './body-writer.ts'

export function replyFrame(asked: RequestHead, status: number, length: BodyLength): BodyFrame {
  if (length === BodyKind.Tunnel) return BodyFrame.Tunnel
  if (asked.method === 'HEAD' || status === 204 || status === 304) return BodyFrame.None
  // RFC 9110 9.3.6: a 2xx to CONNECT has no length; whoever gave one meant an ordinary body.
  if (asked.method === 'CONNECT' && status >= 200 && status < 300) return BodyFrame.Close
  if (length >= 0) return BodyFrame.Length
  return asked.version === 10 ? BodyFrame.Close : BodyFrame.Chunked
}

/** True where the head's own Content-Length tells of a body that is not sent (RFC 9110 8.6). */
export function keepsLength(asked: RequestHead, status: number): boolean {
  return status === 304 || (asked.method === 'HEAD' && status !== 204)
}

/** The framing and Connection lines of a reply head. */
export function replyFraming(
  asked: RequestHead,
  head: ResponseHead,
  frame: BodyFrame,
  length: BodyLength,
  closing: boolean,
): string {
  switch (frame) {
    case BodyFrame.Tunnel:
      return head.status === 101 ? `connection: upgrade\r\nupgrade: ${asked.upgrade}\r\n` : ''
    case BodyFrame.Length:
      return lengthLine(length) + connectionLine(asked, closing)
    case BodyFrame.Chunked:
      return `transfer-encoding: chunked\r\n${connectionLine(asked, closing)}`
    case BodyFrame.None:
      if (asked.method !== 'HEAD' || length <= 0 || head.headers.has('content-length'))
        return connectionLine(asked, closing)
      return `content-length: ${length}\r\n${connectionLine(asked, closing)}`
    default:
      return connectionLine(asked, closing)
  }
}

let lastLength = 0
let lastLine = 'content-length: 0\r\n'

/** Replies of one worker are often of the same length. */
function lengthLine(length: number): string {
  if (length !== lastLength) {
    lastLine = `content-length: ${length}\r\n`
    lastLength = length
  }
  return lastLine
}

function connectionLine(asked: RequestHead, closing: boolean): string {
  if (closing) return 'connection: close\r\n'
  return asked.version === 10 ? 'connection: keep-alive\r\n' : ''
}
