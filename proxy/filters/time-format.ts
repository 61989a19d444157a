/** The part of strftime that START_TIME takes, in UTC; without a format: `2026-01-31T01:43:13.123Z`. */

type Directive = (date: Date) => string

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July'].concat(
  'August',
  'September',
  'October',
  'November',
  'December',
)

const two = (n: number): string => String(n).padStart(2, '0')
const milliseconds = (date: Date): string => String(date.getUTCMilliseconds()).padStart(3, '0')

const directives: Readonly<Record<string, Directive>> = {
  '%': () => '%',
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => two(date.getUTCFullYear() % 100),
  m: (date) => two(date.getUTCMonth() + 1),
  d: (date) => two(date.getUTCDate()),
  e: (date) => String(date.getUTCDate()).padStart(2, ' '),
  H: (date) => two(date.getUTCHours()),
  M: (date) => two(date.getUTCMinutes()),
  S: (date) => two(date.getUTCSeconds()),
  F: (date) => date.toISOString().slice(0, 10),
  T: (date) => date.toISOString().slice(11, 19),
  a: (date) => days[date.getUTCDay()]!.slice(0, 3),
  A: (date) => days[date.getUTCDay()]!,
  b: (date) => months[date.getUTCMonth()]!.slice(0, 3),
  B: (date) => months[date.getUTCMonth()]!,
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  f: (date) => milliseconds(date).padEnd(9, '0'),
  '3f': milliseconds,
  '6f': (date) => milliseconds(date).padEnd(6, '0'),
  '9f': (date) => milliseconds(date).padEnd(9, '0'),
  z: () => '+0000',
  Z: () => 'UTC',
}

/** Text, then directive, then text, ...: `%3f` is one directive. */
const pattern = /%(\d?[A-Za-z%])/

export function unsupportedDirectives(format: string): string[] {
  return format
    .split(pattern)
    .filter((_, index) => index % 2 === 1)
    .filter((name) => !Object.hasOwn(directives, name))
    .map((name) => `%${name}`)
}

/** From milliseconds since 1970 to text; a directive that is not known comes out as written. */
export function compileTimeFormat(format: string): (ms: number) => string {
  if (format === '') return (ms) => new Date(ms).toISOString()
  const parts = format.split(pattern).map((text, index): Directive => {
    if (index % 2 === 0) return () => text
    return directives[text] ?? ((): string => `%${text}`)
  })
  return (ms) => {
    const date = new Date(ms)
    return parts.map((part) => part(date)).join('')
  }
}
