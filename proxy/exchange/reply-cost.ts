/** What a reply, or its failure, tells about the speed of an endpoint (upstream/peak-ewma.ts). */
import { ErrorCode, type ProxyError, Side } from '../base/errors.ts'
import type { ResponseHead } from '../http/head.ts'
import type { ReplyTime } from '../upstream/reply-time.ts'

/** gRPC: unknown, deadline exceeded, resource exhausted, internal, unavailable, data loss. */
const grpcFailures = new Set(['2', '4', '8', '13', '14', '15'])

export function noteReply(time: ReplyTime, head: ResponseHead, ms: number): void {
  const { headers, status } = head
  const grpcStatus = headers.get('grpc-status')
  const failed = grpcStatus === undefined ? isFailure(status) : grpcFailures.has(grpcStatus)
  if (failed) time.failed(hintMs(head))
  else time.answered(ms)
}

/** Failures here or at the client say nothing about the endpoint. */
export function noteFailure(time: ReplyTime, error: ProxyError): void {
  if (error.side === Side.Upstream && error.code !== ErrorCode.Overflow) time.failed(0)
}

function isFailure(status: number): boolean {
  return status >= 500 || status === 429
}

function hintMs({ headers }: ResponseHead): number {
  const pushback = Number(headers.get('grpc-retry-pushback-ms') ?? 0)
  const after = Number(headers.get('retry-after') ?? 0) * 1000
  const hint = Math.max(pushback, after)
  return Number.isFinite(hint) ? Math.max(0, hint) : 0
}
