/** Replies the proxy makes itself: refusals with their reason, redirects, direct responses. */
import type { Origin } from '../../config/snapshot.ts'
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import type { ServerStream } from '../http/codec.ts'
import { ResponseHead } from '../http/head.ts'
import { makeLocalReply } from '../http/local-reply.ts'
import { schemeOf } from '../routing/predicates.ts'
import type { DirectAction, RedirectAction } from '../routing/route.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'
import { failureRow, failureText } from './failure.ts'
import type { HttpScope } from './scope.ts'

/** The exchange, as far as answering needs it. */
export interface Answering {
  readonly stream: ServerStream
  readonly scope: HttpScope
  readonly record: ExchangeRecord
  /** Headers of the chosen rule, on whatever goes back to the client. */
  editReply(head: ResponseHead): void
}

/** gRPC's DEADLINE_EXCEEDED. */
const deadlineExceeded = 4
const overloaded = [['x-envoy-overloaded', 'true']] as const

/** Tells the client what went wrong and who decided. */
export function answerFailure(exchange: Answering, error: ProxyError, hint: string): void {
  const { record, scope, stream } = exchange
  const { status } = failureRow(error)
  if (status === 0) {
    stream.reset(error)
    return
  }
  const { head, body } = makeLocalReply(
    stream.head,
    {
      status,
      reason: error.detail,
      text: failureText(error, record.attempts),
      sentence: sentenceOf(error),
      origin: originOf(record.origin),
      hint,
      ...(error.code === ErrorCode.Overflow ? { headers: overloaded } : {}),
      ...(error.code === ErrorCode.CallerDeadline ? { grpcStatus: deadlineExceeded } : {}),
    },
    scope.tellOrigin,
  )
  answer(exchange, head, body, record.details)
}

export function answerRedirect(exchange: Answering, { redirect }: RedirectAction): void {
  const { stream } = exchange
  const head = new ResponseHead(redirect.status)
  head.headers.append('location', redirect.location(stream.head, schemeOf(stream.head)))
  head.headers.append('date', new Date().toUTCString())
  answer(exchange, head, nothing, 'direct_response')
}

export function answerDirectly(exchange: Answering, { body, status }: DirectAction): void {
  const head = new ResponseHead(status)
  if (body.length > 0 && !isBodiless(status)) head.headers.append('content-type', 'text/plain')
  head.headers.append('date', new Date().toUTCString())
  answer(exchange, head, body, 'direct_response')
}

const nothing = Buffer.alloc(0)

/** `details`: response code details for the log. */
export function answer(
  exchange: Answering,
  head: ResponseHead,
  body: Buffer,
  details: string,
): void {
  note(exchange.record, head, details)
  exchange.editReply(head)
  answerWith(exchange, head, body)
}

/** Without a body, and without the rule's header edits. */
export function answerAsIs(exchange: Answering, head: ResponseHead, details: string): void {
  note(exchange.record, head, details)
  answerWith(exchange, head, nothing)
}

function note(record: ExchangeRecord, head: ResponseHead, details: string): void {
  record.details = details
  record.status = head.status
  if (record.grpc) record.grpcStatus = Number(head.headers.get('grpc-status') ?? -1)
}

function answerWith(exchange: Answering, head: ResponseHead, body: Buffer): void {
  const { record, stream } = exchange
  const bodiless = stream.head.method === 'HEAD' || isBodiless(head.status)
  record.responseBytes = bodiless ? 0 : body.length
  const sink = stream.reply(head, body.length)
  if (body.length > 0) sink.write(body)
  sink.end()
}

/** The codec drops what is written behind such a head. */
function isBodiless(status: number): boolean {
  return status === 204 || status === 304
}

/** Built-in decisions have no file to point to. */
function originOf(origin: Origin | undefined): Origin | undefined {
  return origin?.file === '' ? undefined : origin
}

function sentenceOf(error: ProxyError): string {
  const text = error.message
  // Names of clusters and headers stay as they are.
  const begins = /^[a-z]+[ ,']/.test(text) ? text.charAt(0).toUpperCase() : text.charAt(0)
  const sentence = begins + text.slice(1)
  return sentence.endsWith('.') ? sentence : `${sentence}.`
}
