/**
 * The proxy's own log, for people and machines: pino's JSON lines on stderr, or plain lines where
 * stderr is a terminal. Usable in every thread; the level may change at any time.
 */
import { isatty } from 'node:tty'
import { type DestinationStream, destination, type Logger, pino } from 'pino'

export type { Logger }

export interface LogOptions {
  /** trace, debug, info, warn, error, fatal, silent. */
  readonly level: string
  /** Who speaks: `main`, `worker 1`. */
  readonly thread: string
  /** Default: text on a terminal, else JSON. */
  readonly format?: 'json' | 'text'
  /** Takes whole lines; default: stderr. */
  readonly to?: DestinationStream
}

const stderr = 2

export function createLog(options: LogOptions): Logger {
  // Written at once: these lines are few, and the last one before a crash matters most.
  const to = options.to ?? destination({ dest: stderr, sync: true })
  const format = options.format ?? (isatty(stderr) ? 'text' : 'json')
  return pino(
    {
      level: options.level,
      base: { thread: options.thread },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    format === 'json' ? to : { write: (line: string) => to.write(readable(line)) },
  )
}

/** `12:00:01.123 info  worker 1: message  key=value` */
export function readable(line: string): string {
  // What pino wrote is a JSON object.
  const { level, time, thread, msg, ...rest } = JSON.parse(line) as Record<string, unknown>
  const fields = Object.entries(rest).map(([name, value]) => `  ${name}=${fieldText(value)}`)
  const clock = String(time).slice(11, 23)
  return `${clock} ${String(level).padEnd(5)} ${String(thread)}: ${String(msg ?? '')}${fields.join('')}\n`
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /[\s="]/.test(value) ? JSON.stringify(value) : value
  // An error as pino writes it: its stack tells people the rest.
  if (typeof value === 'object' && value !== null && 'stack' in value && 'message' in value)
    return `\n${String(value.stack)}`
  return JSON.stringify(value)
}
