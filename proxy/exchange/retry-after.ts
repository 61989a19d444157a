/** What a reply says about when to come back (RFC 9110 10.2.3). */
import type { ResponseHead } from '../http/head.ts'

/** Longer than this nobody's request is held back: the reply goes to the client, who may wait. */
export const longestRetryAfterMs = 10_000

/** ms until the time a reply's Retry-After names; undefined: it names none. */
export function retryAfterMs(head: ResponseHead, wallMs: number): number | undefined {
  const value = head.headers.get('retry-after')
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  // A date has letters; other numbers are not what the field allows, and Date.parse takes nearly all.
  const at = /[a-z]/i.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallMs)
}
