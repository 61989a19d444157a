/**
 * The writing half of a connection: joins what is small, holds text back until the end of the turn,
 * and keeps lent receive buffers until the kernel has what is in them. Where the running Node allows
 * it (direct-write.ts), bytes go straight to the socket's handle, past the machinery of streams (an
 * eighth of the CPU of a small request). Hot: bench/micro/connection.bench.ts.
 */
import type { Socket } from 'node:net'
import { latin1 } from '../base/bytes.ts'
import {
  type DirectHandle,
  directWrites,
  tryAgain,
  tryWrite,
  type WriteRequest,
} from './direct-write.ts'
import { type ReceiveBuffer, receiveBuffers } from './receive-buffers.ts'

/** Writes from here on are passed on without a copy; smaller ones are joined and copied. */
export const writeHighMark = 16 * 1024

/** The connection this is the writing half of. */
export interface OutletOwner {
  /** After a write returned false: what was queued is with the kernel now. */
  onFlushed(): void
  /** A write failed: the system's (negative) error number. */
  onBroken(errno: number): void
}

/** What is being read right now in this thread: writes of parts of it must copy or borrow. */
const turn = { reading: undefined as ReceiveBuffer | undefined }
/** Outlets with text held back until the end of the turn: the first `holdingCount` of the list. */
const holding: Array<Outlet | undefined> = []
let holdingCount = 0
let flushScheduled = false

/** A connection is about to hand on what it read into `buffer`. */
export function beginTurn(buffer: ReceiveBuffer | undefined): void {
  turn.reading = buffer
}

/** It was handed on: everything held back leaves. */
export function endTurn(): void {
  if (holdingCount > 0) flushHolding()
  turn.reading = undefined
}

export class Outlet {
  /** Payload bytes so far. */
  bytesWritten = 0
  private readonly owner: OutletOwner
  private readonly socket: Socket
  private readonly direct: boolean
  private held = ''
  private blocked = false
  /** Ended or given up: nothing more is written. */
  private shut = false
  /** Buffers that our queued writes refer to; nearly always none or one. */
  private readonly borrowed: ReceiveBuffer[] = []
  /** Writes the kernel did not take at once. */
  private pending = 0
  private completed: ((status: number) => void) | undefined = undefined

  constructor(owner: OutletOwner, socket: Socket) {
    this.owner = owner
    this.socket = socket
    this.direct = directWrites.allowedFor(socket)
    if (!this.direct) socket.on('drain', () => this.drained())
  }

  /** Bytes that are not with the kernel yet. */
  get queuedBytes(): number {
    const below = this.direct ? this.handle?.writeQueueSize : this.socket.writableLength
    return this.held.length + (below ?? 0)
  }

  write(bytes: Buffer): boolean {
    if (this.shut) return true
    this.bytesWritten += bytes.length
    if (bytes.length < writeHighMark) {
      const text = this.takeHeld()
      if (text !== '' || isBorrowed(bytes))
        this.send(text + latin1(bytes, 0, bytes.length), undefined)
      else this.send('', bytes)
    } else this.writeLarge(bytes)
    return !this.blocked
  }

  writeText(text: string): boolean {
    if (this.shut) return true
    this.bytesWritten += text.length
    if (this.held === '') {
      holding[holdingCount++] = this
      if (turn.reading === undefined && !flushScheduled) {
        flushScheduled = true
        process.nextTick(flushHolding)
      }
      this.held = text
    } else this.held += text
    return !this.blocked
  }

  /** Sends the text held back. */
  flush(): void {
    const text = this.takeHeld()
    if (text !== '' && !this.shut) this.send(text, undefined)
  }

  end(): void {
    this.flush()
    this.shut = true
    this.socket.end()
  }

  /** What is held back is dropped; what was written is the socket's. */
  abandon(): void {
    this.shut = true
    this.held = ''
  }

  /** The socket is gone, and what it was to write. */
  close(): void {
    this.abandon()
    this.returnBorrowed()
  }

  private get handle(): DirectHandle | null {
    return (this.socket as unknown as { _handle: DirectHandle | null })._handle
  }

  private takeHeld(): string {
    const text = this.held
    if (text !== '') this.held = ''
    return text
  }

  /** `text`, then `bytes`, in one piece. True: the kernel has them. */
  private send(text: string, bytes: Buffer | undefined): boolean {
    if (!this.direct) return this.sendThroughStream(text, bytes)
    const { handle } = this
    if (handle === null) return true
    let result: number | WriteRequest
    if (bytes === undefined) result = handle.writeLatin1String(null, text)
    else if (text === '') result = handle.writeBuffer(null, bytes)
    else result = handle.writev(null, [Buffer.from(text, 'latin1'), bytes], true)
    if (result === 0) return true
    return this.settle(handle, result, bytes)
  }

  /** The kernel did not take it all at once, or there was an error. */
  private settle(handle: DirectHandle, result: number | WriteRequest, bytes?: Buffer): boolean {
    if (typeof result === 'number') {
      this.fail(result)
      return true
    }
    this.completed ??= (status) => this.complete(status)
    this.pending++
    result.handle = handle
    result.buffer = bytes
    result.oncomplete = this.completed
    const status = result.writeStatus
    if (typeof status === 'number') {
      result.writeStatus = null
      this.complete(status)
    } else if (handle.writeQueueSize >= writeHighMark) this.blocked = true
    return this.pending === 0
  }

  private complete(status: number): void {
    this.pending--
    if (status < 0) this.fail(status)
    else if (this.pending === 0) this.drained()
  }

  private fail(errno: number): void {
    this.abandon()
    this.owner.onBroken(errno)
  }

  /** The plain way: what direct writes are compared with, and for sockets that are no bare handles. */
  private sendThroughStream(text: string, bytes: Buffer | undefined): boolean {
    const { socket } = this
    if (bytes === undefined) socket.write(text, 'latin1')
    else {
      if (text !== '') {
        socket.cork()
        socket.write(text, 'latin1')
      }
      socket.write(bytes)
      if (text !== '') socket.uncork()
    }
    if (socket.writableLength === 0) return true
    if (socket.writableNeedDrain) this.blocked = true
    return false
  }

  private writeLarge(bytes: Buffer): void {
    const text = this.takeHeld()
    const source = isBorrowed(bytes) ? turn.reading : undefined
    if (source !== undefined && !source.lendable && this.direct && this.pending === 0) {
      this.sendNow(text, bytes)
      return
    }
    const lent = source !== undefined && this.tells(bytes) ? lendable(source, bytes) : undefined
    let own = bytes
    if (source !== undefined && lent !== source)
      own = lent?.bytes.subarray(0, bytes.length) ?? Buffer.from(bytes)
    this.sendLent(text, own, lent)
    if (lent !== undefined && lent !== source) receiveBuffers.abandon(lent)
  }

  /** Part of the buffer that everybody receives into: only what the kernel does not take now is copied. */
  private sendNow(text: string, bytes: Buffer): void {
    const { handle } = this
    if (handle === null) return
    let taken = tryWrite(handle.fd, text, bytes)
    if (taken < 0 && taken !== tryAgain) {
      this.fail(taken)
      return
    }
    if (taken < 0) taken = 0
    if (taken === text.length + bytes.length) return
    const rest = bytes.subarray(Math.max(0, taken - text.length))
    const copy = receiveBuffers.copyOf(rest)
    this.sendLent(text.slice(taken), copy.bytes.subarray(0, rest.length), copy)
    receiveBuffers.abandon(copy)
  }

  private sendLent(text: string, bytes: Buffer, lent: ReceiveBuffer | undefined): void {
    if (!this.send(text, bytes) && lent !== undefined) this.borrow(lent)
  }

  /** A stream tells by `drain` that it is done with a buffer from its high mark on only. */
  private tells(bytes: Buffer): boolean {
    const { direct, socket } = this
    return direct || socket.writableLength + bytes.length >= socket.writableHighWaterMark
  }

  private borrow(source: ReceiveBuffer): void {
    if (this.borrowed.includes(source)) return
    source.lends++
    this.borrowed.push(source)
  }

  private returnBorrowed(): void {
    for (let last = this.borrowed.pop(); last !== undefined; last = this.borrowed.pop())
      receiveBuffers.returned(last)
  }

  private drained(): void {
    if (!this.direct && this.socket.writableLength > 0) return
    this.returnBorrowed()
    if (!this.blocked) return
    this.blocked = false
    this.owner.onFlushed()
  }
}

function isBorrowed(bytes: Buffer): boolean {
  return turn.reading !== undefined && bytes.buffer === turn.reading.bytes.buffer
}

/** The buffer being read where it may be lent, else a recycled copy of `bytes`. */
function lendable(source: ReceiveBuffer, bytes: Buffer): ReceiveBuffer {
  return source.lendable ? source : receiveBuffers.copyOf(bytes)
}

function flushHolding(): void {
  flushScheduled = false
  for (let i = 0; i < holdingCount; i++) {
    holding[i]!.flush()
    holding[i] = undefined
  }
  holdingCount = 0
}
