/** The access log: one line per HTTP exchange and per TCP connection, where and how the mesh says. */
import type { MeshSpec } from '../../config/snapshot.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ConnectionRecord, ExchangeRecord } from './exchange-record.ts'
import type { Instruments } from './instruments.ts'
import { istioLine } from './istio-line.ts'
import { LineWriter } from './line-writer.ts'
import { compileJson, compileText, type LineFormat } from './log-format.ts'
import type { RecordLog } from './recorder.ts'

export interface AccessLogSettings {
  /** A path, or a descriptor: 1 is stdout. */
  readonly to: string | number
  readonly encoding: 'TEXT' | 'JSON'
  /** `` is Istio's default. */
  readonly format: string
}

/**
 * Where the access log goes: `override` (`stdout`, `off`, a file) wins over the mesh's accessLogFile.
 * Undefined: nowhere.
 */
export function accessLogSettings(
  mesh: Pick<MeshSpec, 'accessLogFile' | 'accessLogEncoding' | 'accessLogFormat'>,
  override: string | undefined,
): AccessLogSettings | undefined {
  const target = override ?? mesh.accessLogFile
  if (target === '' || target === 'off') return undefined
  return {
    to: descriptorOf(target) ?? target,
    encoding: mesh.accessLogEncoding,
    format: mesh.accessLogFormat,
  }
}

/** These paths cannot be opened where they are sockets; the descriptors always work. */
function descriptorOf(target: string): number | undefined {
  if (target === 'stdout' || target === '/dev/stdout') return 1
  if (target === 'stderr' || target === '/dev/stderr') return 2
  return undefined
}

export class AccessLog implements RecordLog {
  readonly settings: AccessLogSettings
  private readonly line: LineFormat
  private readonly exchangeLine: (record: ExchangeRecord) => string
  private readonly writer: LineWriter

  /** `onProblem` is told of formats not understood and of destinations that fail. */
  constructor(
    settings: AccessLogSettings,
    wheel: TimerWheel,
    instruments: Instruments,
    onProblem: (message: string) => void,
  ) {
    this.settings = settings
    const compile = settings.encoding === 'JSON' ? compileJson : compileText
    const { line, problems } = compile(settings.format)
    this.line = line
    const isDefault = settings.encoding === 'TEXT' && settings.format === ''
    this.exchangeLine = isDefault ? istioLine : line
    for (const problem of problems) onProblem(problem)
    this.writer = new LineWriter({
      to: settings.to,
      wheel,
      lines: instruments.counter('accessLogLines'),
      dropped: instruments.counter('accessLogDropped'),
      onTrouble: onProblem,
    })
  }

  exchange(record: ExchangeRecord): void {
    this.writer.write(this.exchangeLine(record))
  }

  connection(record: ConnectionRecord): void {
    this.writer.write(this.line(record))
  }

  /** Text not with the kernel yet: a leak counter. */
  get waitingText(): number {
    return this.writer.waitingText
  }

  /** Writes everything out; call it before the thread ends. */
  close(): Promise<void> {
    return this.writer.close()
  }

  /** The same when the process cannot wait. */
  closeNow(): void {
    this.writer.closeNow()
  }
}

/** True when a running log with settings `a` need not be replaced for `b`. */
export function sameAccessLog(
  a: AccessLogSettings | undefined,
  b: AccessLogSettings | undefined,
): boolean {
  return a?.to === b?.to && a?.encoding === b?.encoding && a?.format === b?.format
}
