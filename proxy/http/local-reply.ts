/**
 * Every answer the proxy itself gives: Envoy's well-known text first, then why in one sentence, where
 * it was decided and what to do about it. For gRPC callers a trailers-only reply (status 200).
 */
import { type RequestHead, ResponseHead } from './head.ts'

/** Where a decision was written (config/snapshot.ts Origin). */
export interface DecidedBy {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly file: string
  readonly line: number
}

export interface LocalReply {
  readonly status: number
  /** For gRPC callers, where the status does not say it all. */
  readonly grpcStatus?: number
  /** Stable code, for x-outrider-reason: an ErrorCode or Envoy's response code detail. */
  readonly reason: string
  /** What Envoy answers here (`no healthy upstream`), or ``. */
  readonly text?: string
  /** One plain sentence: what happened and the likely cause; any caller may read it. */
  readonly sentence: string
  readonly origin?: DecidedBy | undefined
  /** What to do about it; told only to callers that may know the origin. */
  readonly hint?: string
  /** Further fields, e.g. x-envoy-overloaded. */
  readonly headers?: ReadonlyArray<readonly [name: string, value: string]>
}

export interface LocalReplyMessage {
  readonly head: ResponseHead
  /** Empty for HEAD and gRPC: the exchange ends the reply at once. */
  readonly body: Buffer
}

/**
 * `request` undefined: nothing could be read of it. `tellOrigin`: the caller is local or meshed and
 * may see object names and files. The head has no content-length: the codec frames the body.
 */
export function makeLocalReply(
  request: RequestHead | undefined,
  reply: LocalReply,
  tellOrigin: boolean,
): LocalReplyMessage {
  const grpc = request !== undefined && isGrpc(request)
  const head = new ResponseHead(grpc ? 200 : reply.status)
  const { headers } = head
  const message = paragraphs(reply, tellOrigin)
  if (grpc) {
    headers.append('content-type', 'application/grpc')
    headers.append('grpc-status', String(reply.grpcStatus ?? grpcStatusOf(reply.status)))
    headers.append('grpc-message', percentEncoded(message.join(' ')))
  } else headers.append('content-type', 'text/plain; charset=utf-8')
  headers.append('date', new Date().toUTCString())
  headers.append('x-outrider-reason', fieldText(reply.reason))
  if (tellOrigin && reply.origin !== undefined)
    headers.append('x-outrider-origin', fieldText(originText(reply.origin)))
  for (const [name, value] of reply.headers ?? []) headers.append(name, value)
  const silent = grpc || request?.method === 'HEAD'
  return { head, body: silent ? Buffer.alloc(0) : Buffer.from(bodyText(reply, message)) }
}

/** `VirtualService default/reviews routes.yaml:12`. */
export function originText({ kind, namespace, name, file, line }: DecidedBy): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name} ${file}:${line}`
}

/** True for `application/grpc`, `application/grpc+proto`, `application/grpc; ...`; not for gRPC-Web. */
export function isGrpc(request: RequestHead): boolean {
  const type = request.headers.get('content-type')
  if (type === undefined || !/^application\/grpc/i.test(type)) return false
  return /^(?:$|[+;\s])/.test(type.slice('application/grpc'.length))
}

/** Envoy's mapping of HTTP statuses to gRPC statuses. */
export function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13
    case 401:
      return 16
    case 403:
      return 7
    case 404:
      return 12
    case 429:
    case 502:
    case 503:
    case 504:
      return 14
    default:
      return 2
  }
}

/** Envoy's text, the sentence, the origin, the hint: those that there are. */
function paragraphs(reply: LocalReply, tellOrigin: boolean): string[] {
  const { text = '', sentence, origin, hint = '' } = reply
  const parts = [text, sentence]
  if (tellOrigin && origin !== undefined) parts.push(`Decided by ${originText(origin)}.`)
  if (tellOrigin) parts.push(hint)
  return parts.filter((part) => part !== '')
}

/** Envoy's text is the first line, as its users know it; ours is a paragraph of its own. */
function bodyText({ text = '' }: LocalReply, message: readonly string[]): string {
  if (text === '' || message.length === 1) return `${message.join('\n')}\n`
  return `${text}\n\n${message.slice(1).join('\n')}\n`
}

/** Percent-encoding of the gRPC specification: printable ASCII but `%` stays. */
function percentEncoded(text: string): string {
  let encoded = ''
  for (const byte of Buffer.from(text))
    encoded +=
      byte >= 32 && byte <= 126 && byte !== 37
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return encoded
}

/** As a field value: bytes of UTF-8, nothing that could end the line. */
function fieldText(text: string): string {
  return Buffer.from(text.replace(/[\r\n\0]/g, ' ')).toString('latin1')
}
