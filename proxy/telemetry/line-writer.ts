/**
 * Lines to a file, a pipe or a terminal, in batches of whole lines, never blocking the loop. Several
 * threads may write to the same place: what one write carries is never torn apart. Pipes and terminals
 * are written at once and without blocking, files (whose disk may be slow) from the thread pool. Hot:
 * bench/micro/access-log.bench.ts.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, write, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { Counter } from './instruments.ts'

/** The kernel adds this much to a pipe in one piece (PIPE_BUF); to a file, any amount. */
const pipeBatch = 4096
const fileBatch = 64 * 1024
/** A line waits at most about this long. */
const flushMs = 100
/** Longer while the destination cannot be opened or written. */
const tryAgainMs = 1_000
/** A full pipe is tried again this soon. */
const fullMs = 5
/** Text waiting for a slow destination; more is dropped. */
const mostWaiting = 8 * 1024 * 1024

export interface LineWriterOptions {
  /** A file that is appended to (made with its folders), or an open descriptor. */
  readonly to: string | number
  readonly wheel: TimerWheel
  readonly lines: Counter
  readonly dropped: Counter
  /** Told once per trouble, and again when it is over. */
  readonly onTrouble: (message: string) => void
}

const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK

interface Batch {
  readonly text: string
  readonly lines: number
}

export class LineWriter implements DeadlineOwner {
  private readonly options: LineWriterOptions
  private fd = -1
  /** Opened here, to be closed here. */
  private own = false
  private blocking = true
  private batchSize = pipeBatch
  /** The batch being filled. */
  private text = ''
  private lines = 0
  /** Full batches, and their size together. */
  private readonly waiting: Batch[] = []
  private waitingLength = 0
  /** What is being written: of these bytes those from `written` to `end`. */
  private current: Buffer | undefined = undefined
  private written = 0
  private end = 0
  /** Batches for pipes are encoded here; files get memory of their own. */
  private readonly scratch = Buffer.allocUnsafeSlow(3 * pipeBatch)
  private currentLines = 0
  /** The thread pool has it, or it waits for a full pipe. */
  private busy = false
  private troubled = false
  private closed = false
  private closing: (() => void) | undefined = undefined
  private readonly timer = new Timer(this)
  private readonly onWritten = (error: NodeJS.ErrnoException | null, n: number): void => {
    this.busy = false
    if (error === null) this.advance(n)
    else this.failed(error)
    this.pump()
  }
  private readonly onMaybeRoom = (): void => {
    this.busy = false
    this.pump()
  }

  constructor(options: LineWriterOptions) {
    this.options = options
    this.open()
  }

  /** `line` ends with a newline. */
  write(line: string): void {
    if (this.lines > 0 && this.text.length + line.length > this.batchSize) this.fill()
    if (this.closed || this.waitingLength + this.text.length > mostWaiting) {
      this.options.dropped.add()
      return
    }
    this.text += line
    this.lines++
    if (!this.timer.armed) this.options.wheel.arm(this.timer, flushMs)
  }

  /** Text that is not with the kernel yet: a leak counter. */
  get waitingText(): number {
    const current = this.current === undefined ? 0 : this.end - this.written
    return this.text.length + this.waitingLength + current
  }

  onDeadline(): void {
    if (this.fd < 0) this.open()
    this.fill()
    this.pump()
    if (this.waitingText > 0)
      this.options.wheel.arm(this.timer, this.troubled ? tryAgainMs : flushMs)
  }

  /** Writes what there is, for at most this long, then closes; later lines are dropped. */
  async close(withinMs = 2_000): Promise<void> {
    this.fill()
    this.options.wheel.cancel(this.timer)
    if (this.fd >= 0 && this.waitingText > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const enough = setTimeout(resolve, withinMs)
      this.closing = resolve
      this.pump()
      await promise
      clearTimeout(enough)
    }
    this.abandon()
  }

  /** At the very end of a process that cannot wait. */
  closeNow(): void {
    this.seal()
    this.options.wheel.cancel(this.timer)
    try {
      if (this.fd >= 0)
        for (let batch = this.waiting.shift(); batch !== undefined; batch = this.waiting.shift()) {
          writeSync(this.fd, batch.text)
          this.options.lines.add(batch.lines)
        }
    } catch (cause) {
      this.trouble(cause as NodeJS.ErrnoException)
    }
    this.abandon()
  }

  private abandon(): void {
    this.closed = true
    this.dropWaiting()
    if (this.current !== undefined && !this.blocking) this.options.dropped.add(this.currentLines)
    // A descriptor that the thread pool still writes to must not come to mean another file.
    if (this.own && this.fd >= 0 && !this.busy) closeSync(this.fd)
    this.fd = -1
    this.current = undefined
  }

  private dropWaiting(): void {
    for (const batch of this.waiting) this.options.dropped.add(batch.lines)
    this.waiting.length = 0
    this.waitingLength = 0
  }

  private open(): void {
    const { to } = this.options
    try {
      if (typeof to === 'number') this.adopt(to)
      else {
        mkdirSync(dirname(to), { recursive: true })
        this.fd = openSync(to, appending | constants.O_CREAT)
        this.own = true
      }
      const isFile = fstatSync(this.fd).isFile()
      this.batchSize = isFile ? fileBatch : pipeBatch
      this.blocking = isFile || !this.own
    } catch (cause) {
      this.fd = -1
      this.trouble(cause as NodeJS.ErrnoException)
    }
  }

  /** Others use this descriptor too: a pipe or terminal is opened again, so that ours alone does not block. */
  private adopt(fd: number): void {
    this.fd = fd
    const about = fstatSync(fd)
    if (!about.isFIFO() && !about.isCharacterDevice()) return
    try {
      this.fd = openSync(`/proc/self/fd/${fd}`, appending)
      this.own = true
    } catch {
      // Not allowed to: it is used as it is, from the thread pool.
    }
  }

  /** Puts the batch being filled in line. */
  private seal(): void {
    if (this.lines === 0) return
    this.waiting.push({ text: this.text, lines: this.lines })
    this.waitingLength += this.text.length
    this.text = ''
    this.lines = 0
  }

  private fill(): void {
    this.seal()
    this.pump()
  }

  private pump(): void {
    while (!this.busy && this.fd >= 0 && (this.current !== undefined || this.takeBatch())) {
      const bytes = this.current!
      if (this.blocking) {
        this.busy = true
        write(this.fd, bytes, this.written, this.end - this.written, null, this.onWritten)
        return
      }
      try {
        this.advance(writeSync(this.fd, bytes, this.written, this.end - this.written))
      } catch (cause) {
        if (!this.failed(cause as NodeJS.ErrnoException)) return
      }
    }
    if (!this.busy) this.closing?.()
  }

  /** False: nothing to write. */
  private takeBatch(): boolean {
    const batch = this.waiting.shift()
    if (batch === undefined) return false
    this.waitingLength -= batch.text.length
    const bytes = this.encode(batch.text)
    if (this.end > this.batchSize && batch.lines > 1) {
      // Not ASCII, and so longer than it looked.
      const lines = batch.text.match(/[^\n]*\n/g)!
      this.waiting.unshift(...lines.map((text) => ({ text, lines: 1 })))
      this.waitingLength += batch.text.length
      return this.takeBatch()
    }
    this.current = bytes
    this.currentLines = batch.lines
    this.written = 0
    return true
  }

  /** Sets `end` too. */
  private encode(text: string): Buffer {
    if (this.batchSize === pipeBatch && text.length <= pipeBatch) {
      this.end = this.scratch.write(text)
      return this.scratch
    }
    const bytes = Buffer.from(text)
    this.end = bytes.length
    return bytes
  }

  private advance(n: number): void {
    if (this.troubled) {
      this.troubled = false
      this.options.onTrouble(`the access log ${this.name} can be written again`)
    }
    this.written += n
    if (this.current === undefined || this.written < this.end) return
    this.options.lines.add(this.currentLines)
    this.current = undefined
  }

  /** False: the pipe is full, it is tried again soon. */
  private failed(error: NodeJS.ErrnoException): boolean {
    if (error.code === 'EAGAIN') {
      this.busy = true
      setTimeout(this.onMaybeRoom, fullMs)
      return false
    }
    this.trouble(error)
    this.options.dropped.add(this.currentLines)
    this.current = undefined
    return true
  }

  private trouble(error: NodeJS.ErrnoException): void {
    if (this.troubled) return
    this.troubled = true
    const why = error.code ?? error.message
    this.options.onTrouble(
      `the access log ${this.name} cannot be written (${why}): lines may be lost`,
    )
  }

  private get name(): string {
    const { to } = this.options
    return to === 1 ? 'stdout' : to === 2 ? 'stderr' : String(to)
  }
}
