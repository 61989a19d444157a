/** Times as access logs write them. */

let lastSecond = -1
let lastText = ''

/** `2026-03-01T12:00:00.123Z`. The part up to the second is kept, because it is nearly always the same. */
export function startTime(wallMs: number): string {
  const second = Math.floor(wallMs / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastText = new Date(second * 1000).toISOString().slice(0, 20)
  }
  const ms = Math.floor(wallMs) - second * 1000
  return `${lastText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n)
}

/** strftime in UTC, with Envoy's `%3f` (first digits of the fraction) and `%s` (seconds since 1970). */
export function strftime(format: string, wallMs: number): string {
  const at = new Date(wallMs)
  return format.replace(
    /%(\d)?([a-zA-Z%])/g,
    (whole, digits: string | undefined, letter: string) =>
      digits === undefined || letter === 'f' || letter === 's'
        ? (timePart(letter, digits, at) ?? whole)
        : whole,
  )
}

function timePart(letter: string, digits: string | undefined, at: Date): string | undefined {
  const fraction = `${String(at.getUTCMilliseconds()).padStart(3, '0')}000000`
  switch (letter) {
    case 'Y':
      return String(at.getUTCFullYear())
    case 'm':
      return two(at.getUTCMonth() + 1)
    case 'd':
      return two(at.getUTCDate())
    case 'e':
      return String(at.getUTCDate()).padStart(2, ' ')
    case 'H':
      return two(at.getUTCHours())
    case 'M':
      return two(at.getUTCMinutes())
    case 'S':
      return two(at.getUTCSeconds())
    case 'F':
      return at.toISOString().slice(0, 10)
    case 'T':
      return at.toISOString().slice(11, 19)
    case 'b':
      return months[at.getUTCMonth()]!
    case 'a':
      return days[at.getUTCDay()]!
    case 'z':
      return '+0000'
    case 'Z':
      return 'UTC'
    case 's':
      return `${Math.floor(at.getTime() / 1000)}${digits === undefined ? '' : `.${fraction.slice(0, Number(digits))}`}`
    case 'f':
      return fraction.slice(0, digits === undefined ? 9 : Number(digits))
    case '%':
      return '%'
    default:
      return undefined
  }
}
