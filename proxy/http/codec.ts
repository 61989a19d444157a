/**
 * The contract of all HTTP versions: everything above this file speaks of streams, heads and bodies.
 * A server codec owns the connection to a client, a client codec one to an upstream.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Connection } from '../net/connection.ts'
import type { BodyLength, BodySink, BodySource } from './body.ts'
import type { RequestHead, ResponseHead } from './head.ts'

export interface ServerCodec {
  readonly connection: Connection
  readonly openStreams: number
  /**
   * Each reply from now on is the last of its connection, and says so: `connection: close`, or GOAWAY.
   * What lies idle stays open: a request may be on its way.
   */
  retire(): void
  /** Retires, and closes what lies idle. */
  drain(): void
}

/** Who a server codec works for: one per listener, told of every stream and of every refused head. */
export interface ServerCodecOwner {
  /** A complete, well-formed head arrived. The owner must set `stream.owner` before it returns. */
  onStream(stream: ServerStream): void
  /**
   * Bytes that never became a stream were answered (or cut) by the codec itself with `status`
   * (0: nothing could be sent). `head` is what could be read of it. Exactly once per such input.
   */
  onRefused(
    codec: ServerCodec,
    error: ProxyError,
    status: number,
    head: RequestHead | undefined,
  ): void
  /** The connection is gone and no stream is open. */
  onClosed(codec: ServerCodec): void
}

export interface StreamOwner {
  /** The request body is complete (at once for requests without body, after onStream). */
  onRequestEnd(): void
  /** The reply is complete and with the kernel's queue; the stream is finished. */
  onReplyEnd(): void
  /** The client is gone, or broke the rules, before the reply was complete. Nothing can be sent any more. */
  onAbort(error: ProxyError): void
}

/** One request and its reply, seen from the proxy's server side. */
export interface ServerStream {
  readonly head: RequestHead
  readonly body: BodySource
  readonly connection: Connection
  owner: StreamOwner | undefined
  /** True once reply() was called. */
  readonly replied: boolean
  /** An interim reply (1xx other than 101); ignored where the client's version cannot take it. */
  inform(head: ResponseHead): void
  /**
   * The final reply head; its body goes into the sink. `length` 0 still needs sink.end(). The codec
   * frames it (length, chunked or close-delimited), drops bodies of HEAD, 204 and 304, and closes the
   * connection afterwards where the request body was not read to its end. BodyKind.Tunnel: 101, or
   * 2xx to CONNECT: from here on `body` gives the client's raw bytes.
   */
  reply(head: ResponseHead, length: BodyLength): BodySink
  /** Ends it without a proper reply: HTTP/1 closes the connection. `onAbort` is not called. */
  reset(error: ProxyError): void
}

/** What comes back for one request sent upstream, in this order. */
export interface ReplyReceiver {
  /** 1xx other than 101. */
  onInform(head: ResponseHead): void
  /** Final head (101 and CONNECT 2xx with body.length Tunnel). flowInto may be called now or later. */
  onReply(head: ResponseHead, body: BodySource): void
  /** The reply body is complete; the sink's end() was called just before. */
  onReplyEnd(): void
  /**
   * It ended badly, before or after onReply (then the sink's fail() was called just before).
   * `error.retryable` is true only if the upstream cannot have processed the request. The detail
   * `closed_before_reply` says that not one byte of a reply came: on a reused HTTP/1 connection most
   * likely the upstream closed it before it read the request.
   */
  onFailure(error: ProxyError): void
}

/** A connection to an upstream that takes requests. */
export interface ClientCodec {
  readonly connection: Connection
  /** Streams that may open now; HTTP/1: 0 or 1. */
  readonly capacity: number
  /** Requests opened on it so far. */
  readonly opened: number
  /** Hop-by-hop fields are the codec's; `length` 0 means no body and needs no end(). */
  open(head: RequestHead, length: BodyLength, replies: ReplyReceiver): UpstreamStream
  /** Takes no new requests; closes when idle. */
  drain(): void
  /** Closes at once. */
  destroy(error?: ProxyError): void
}

export interface UpstreamStream {
  /** Takes the request body. */
  readonly sink: BodySink
  /** True once any byte of this request was handed to the socket. */
  readonly started: boolean
  /** Nobody waits for the reply any more: HTTP/1 closes the connection. No receiver method is called afterwards. */
  cancel(error: ProxyError): void
}

/** Who a client codec works for: the pool. */
export interface ClientCodecOwner {
  /** It can take (another) request. */
  onCapacity(codec: ClientCodec): void
  /** Gone, or must not be used again. Called once. `error` undefined: an orderly close while idle. */
  onClosed(codec: ClientCodec, error: ProxyError | undefined): void
  /** The upstream named its idle limit (`Keep-Alive: timeout=N`), ms. */
  onIdleLimit(codec: ClientCodec, idleMs: number): void
}
