/** A port whose handshakes nobody answers: its queue of waiting connections is full and nobody accepts. */
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

const program = `
const { parentPort } = require('node:worker_threads')
const server = require('node:net').createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  // the thread stands still from here on: the kernel queues two connections and drops the rest
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
`

export class SilentPort {
  readonly port: number
  private readonly worker: Worker
  private readonly fillers: readonly Socket[]

  private constructor(port: number, worker: Worker, fillers: readonly Socket[]) {
    this.port = port
    this.worker = worker
    this.fillers = fillers
  }

  static async open(): Promise<SilentPort> {
    const worker = new Worker(program, { eval: true })
    const port = await new Promise<number>((done, failed) => {
      worker.once('message', done)
      worker.once('error', failed)
    })
    const queued = 2
    const fillers: Socket[] = []
    await new Promise<void>((done) => {
      let connected = 0
      for (let i = 0; i < queued; i++) {
        const socket = connect(port, '127.0.0.1', () => {
          if (++connected === queued) done()
        })
        socket.on('error', () => undefined)
        fillers.push(socket)
      }
    })
    return new SilentPort(port, worker, fillers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.fillers) socket.destroy()
    await this.worker.terminate()
  }
}
