/** The process' log on standard error: lines for a terminal, JSON (pino) for everything that collects. */
import type { Log } from './log.ts'
import { logLevels } from './log.ts'

export type LogFormat = 'text' | 'json'

export async function makeLog(
  format: LogFormat,
  level: string,
  write?: (line: string) => void,
): Promise<Log> {
  return format === 'text' ? new TextLog(level, write ?? toStderr) : jsonLog(level, write)
}

function toStderr(line: string): void {
  process.stderr.write(line)
}

/** Loaded only when asked for: pino costs 20 ms and 2 MB, which a terminal need not pay. */
async function jsonLog(level: string, write?: (line: string) => void): Promise<Log> {
  const { pino } = await import('pino')
  const destination = write === undefined ? pino.destination({ fd: 2, sync: true }) : { write }
  const log: Log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  return log
}

class TextLog implements Log {
  level: string
  private readonly write: (line: string) => void

  constructor(level: string, write: (line: string) => void) {
    this.level = level
    this.write = write
  }

  debug(_: object, message: string): void {
    this.line('debug', message)
  }

  info(_: object, message: string): void {
    this.line('info', message)
  }

  warn(_: object, message: string): void {
    this.line('warn', message)
  }

  error(fields: object, message: string): void {
    this.line('error', message)
    // The message already says what happened; the stack is for us.
    if ('err' in fields && fields.err instanceof Error && rank(this.level) <= rank('debug'))
      this.write(`${fields.err.stack}\n`)
  }

  private line(level: (typeof logLevels)[number], message: string): void {
    if (rank(level) < rank(this.level)) return
    this.write(`${new Date().toISOString().slice(11, 23)} ${level.padEnd(5)} ${message}\n`)
  }
}

function rank(level: string): number {
  return (logLevels as readonly string[]).indexOf(level)
}
