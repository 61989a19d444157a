/** Opens keep-alive connections that have served one request each, and holds them. */
import { connect, type Socket } from 'node:net'

/** As many at once, so that no queue of waiting connections overflows. */
const atOnce = 50

export class IdleConnections implements Disposable {
  private readonly sockets: Socket[] = []

  static async open(count: number, port: number, host: string, path: string) {
    const held = new IdleConnections()
    for (let n = 0; n < count; n += atOnce) {
      const batch = Array.from({ length: Math.min(atOnce, count - n) }, () =>
        held.openOne(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
      )
      await Promise.all(batch)
    }
    return held
  }

  private openOne(port: number, request: string): Promise<void> {
    return new Promise((served, failed) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(request))
      socket.once('data', () => served())
      socket.once('error', failed)
      this.sockets.push(socket)
    })
  }

  [Symbol.dispose](): void {
    for (const socket of this.sockets) socket.destroy()
  }
}
