/**
 * Whether bytes may go straight to a socket's handle. What Node's own streams call there is not public
 * API and has changed before, so `watch` looks at start how the running Node does it: only if it asks
 * for no request object and gets a number back, connections do the same (outlet.ts).
 */
import { writeSync, writevSync } from 'node:fs'
import { Socket } from 'node:net'
import { constants } from 'node:os'

/** What a write that the kernel did not take at once is known by. */
export interface WriteRequest {
  handle: unknown
  /** Kept from the collector until the write is complete. */
  buffer: unknown
  oncomplete: (status: number) => void
  /** A number when it was complete before `oncomplete` was there. */
  writeStatus: number | null | undefined
}

/** 0: the kernel has it all; negative: the system's error number. */
type WriteResult = number | WriteRequest

export interface DirectHandle {
  writeLatin1String(request: null, text: string): WriteResult
  writeBuffer(request: null, bytes: Buffer): WriteResult
  writev(request: null, chunks: readonly Buffer[], allBuffers: true): WriteResult
  /** Bytes the kernel has not taken. */
  readonly writeQueueSize: number
  readonly fd: number
}

class DirectWrites {
  /** Set by the check at start; off until then. */
  works = false

  /** Only connected TCP and unix sockets: what TLS sends is not what is written. */
  allowedFor(socket: Socket): boolean {
    if (!this.works || socket.connecting || socket.constructor !== Socket) return false
    const handle = handleOf(socket)
    if (typeof handle?.writev !== 'function') return false
    return typeof handle.writeQueueSize === 'number' && typeof handle.fd === 'number'
  }

  /** Looks at the next text this socket writes through its stream, and decides. */
  watch(socket: Socket): void {
    const handle = handleOf(socket)
    if (handle === null || typeof handle?.writeLatin1String !== 'function') return
    const own = handle.writeLatin1String
    handle.writeLatin1String = (request, text) => {
      handle.writeLatin1String = own
      const result = own.call(handle, request, text)
      this.works = request === null && result === 0
      return result
    }
  }
}

/** Of this thread. */
export const directWrites = new DirectWrites()

/** The kernel takes nothing now. */
export const tryAgain = -constants.errno.EAGAIN

/**
 * Gives the kernel as much of `text` (latin1) and `bytes` as it takes at once: sockets do not block. The
 * number of bytes it took, or the (negative) error number. Nothing is kept of `bytes`.
 */
export function tryWrite(fd: number, text: string, bytes: Buffer): number {
  try {
    if (text === '') return writeSync(fd, bytes)
    return writevSync(fd, [Buffer.from(text, 'latin1'), bytes])
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).errno ?? -constants.errno.EIO
  }
}

function handleOf(socket: Socket): DirectHandle | null {
  return (socket as unknown as { _handle: DirectHandle | null })._handle
}
