/** Why a failed attempt that a rule wants repeated is not: for flags, metrics, log and reply. */
import { type ExchangeRecord, Flag } from '../telemetry/exchange-record.ts'

export interface RetryRefusal {
  /** Stable, for metrics. */
  readonly reason:
    | 'limit_exceeded'
    | 'interim_reply'
    | 'request_body'
    | 'overflow'
    | 'budget'
    | 'retry_after'
  /** Envoy's: URX when all retries are used, UO when the cluster may not see more. */
  readonly flags: number
  /** Without capital and full stop. */
  readonly text: string
}

export const interimReply: RetryRefusal = {
  reason: 'interim_reply',
  flags: 0,
  text: 'an interim reply had already been passed on',
}

export function allUsed(retries: number): RetryRefusal {
  const text = `${retries === 1 ? 'the one retry' : `all ${retries} retries`} had been made`
  return { reason: 'limit_exceeded', flags: Flag.URX, text }
}

export function bodyTooLarge(limitBytes: number): RetryRefusal {
  const text = `the request body is larger than the ${limitBytes} bytes that are kept for retries`
  return { reason: 'request_body', flags: 0, text }
}

export const bodiesCrowded: RetryRefusal = {
  reason: 'request_body',
  flags: 0,
  text: 'too many request bodies were being kept for retries at once',
}

export const bodyNotKept: RetryRefusal = {
  reason: 'request_body',
  flags: 0,
  text: 'part of the request body had been sent, and was not kept',
}

export function tooManyRetries(describe: string): RetryRefusal {
  return { reason: 'overflow', flags: Flag.UO, text: describe }
}

export function overBudget(describe: string): RetryRefusal {
  return { reason: 'budget', flags: Flag.UO, text: describe }
}

export function comeBackLater(afterMs: number, leftMs: number): RetryRefusal {
  const text = `the reply asks to come back in ${Math.ceil(afterMs / 1000)} s, and ${Math.floor(leftMs)} ms are the most that may be waited`
  return { reason: 'retry_after', flags: 0, text }
}

/** For the log, where transport failures are told: what was there, and why it was not tried again. */
export function notRetried({ upstreamFailure }: ExchangeRecord, { text }: RetryRefusal): string {
  return `${upstreamFailure === '' ? '' : `${upstreamFailure}; `}not retried: ${text}`
}

/** For the client. */
export function triedText({ attempts }: ExchangeRecord, refusal: RetryRefusal | undefined): string {
  const tried = attempts > 1 ? `It was tried ${attempts} times.` : ''
  if (refusal === undefined || refusal.reason === 'limit_exceeded') return tried
  return `${tried === '' ? '' : `${tried} `}It was not tried again: ${refusal.text}.`
}
