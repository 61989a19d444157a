/** The Date field of replies that come without one (RFC 9110 6.6.1), its text made once a second. */
import { clock } from '../base/clock.ts'

let second = Number.NaN
let text = ''

export function dateText(): string {
  const now = Math.floor(clock.wall() / 1_000)
  if (now !== second) {
    second = now
    text = new Date(now * 1_000).toUTCString()
  }
  return text
}
