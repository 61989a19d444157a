/**
 * A server for uploads: reads a whole request body, then answers. It keeps nothing, so that the proxy
 * before it is what limits. `node sink.ts PORT`.
 */
import { createServer, type Socket } from 'node:net'

const endOfHead = Buffer.from('\r\n\r\n')
const reply = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** Follows one connection: how much of the current body is still to come, and head bytes kept. */
class Upload {
  private missing = 0
  private head: Buffer = Buffer.alloc(0)
  private readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => this.take(bytes))
    socket.on('error', () => socket.destroy())
  }

  private take(bytes: Buffer): void {
    let rest = bytes
    while (rest.length > 0) {
      if (this.missing === 0) rest = this.readHead(rest)
      const taken = Math.min(this.missing, rest.length)
      this.missing -= taken
      rest = rest.subarray(taken)
      if (taken > 0 && this.missing === 0) this.socket.write(reply)
    }
  }

  private readHead(bytes: Buffer): Buffer {
    const all = this.head.length === 0 ? bytes : Buffer.concat([this.head, bytes])
    const end = all.indexOf(endOfHead)
    this.head = end === -1 ? Buffer.from(all) : Buffer.alloc(0)
    if (end === -1) return Buffer.alloc(0)
    const length = /\r\ncontent-length: *(\d+)/i.exec(all.toString('latin1', 0, end))?.[1]
    this.missing = Number(length ?? 0)
    if (this.missing === 0) this.socket.write(reply)
    return all.subarray(end + endOfHead.length)
  }
}

createServer((socket) => new Upload(socket)).listen(Number(process.argv[2]), '127.0.0.1')
