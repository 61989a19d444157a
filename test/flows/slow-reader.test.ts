/** A large download through two sidecars to a slow reader: `OUTRIDER_LONG=1` makes it 2 GiB. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { Running, type Started } from '../support/running.ts'
import { listening } from '../support/upstream.ts'

const long = process.env['OUTRIDER_LONG'] === '1'
const size = (long ? 2_048 : 64) * 1024 * 1024
const allowedGrowth = 64 * 1024 * 1024

/** Sends `size` bytes to whoever asks, as fast as they are taken. */
function fountain(socket: Socket): void {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  let left = size
  socket.on('error', () => undefined)
  socket.once('data', () => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
    const pour = (): void => {
      while (left > 0) {
        left -= chunk.length
        if (!socket.write(chunk)) {
          socket.once('drain', pour)
          return
        }
      }
    }
    pour()
  })
}

test('a slow reader of a large body costs each proxy little memory', {
  timeout: 600_000,
}, async (t) => {
  const app = createServer(fountain)
  const appPort = await listening(app)
  const folder = mkdtempSync(join(tmpdir(), 'outrider-slow-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const servicePort = await freePort('127.0.78.1')
  writeFileSync(join(folder, 'mesh.yaml'), meshYaml(servicePort))
  const common = ['--config', folder, '--workers', '1', '--settle-time', '0s']
  await using inbound = new Running([
    ...[...common, '--ip', '127.0.78.1', '--labels', 'app=big'],
    ...['--app', `127.0.0.1:${appPort}`],
  ])
  await using outbound = new Running([...common, '--ip', '127.0.78.2', '--labels', 'app=reader'])
  await inbound.said(/ is ready after /)
  const { places } = (await outbound.said(/ is ready after /)) as unknown as Started
  const port = Number(places.outbound.slice(places.outbound.lastIndexOf(':') + 1))
  const both = [inbound, outbound]
  const idle = both.map(({ rss }) => rss)
  const most = [...idle]
  const got = await new Promise<number>((done, failed) => {
    const asked = request({ port, headers: { host: 'big' } }, (reply) => {
      let bytes = 0
      let chunks = 0
      reply.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        // Slow: what was sent piles up in front of the reader.
        if (++chunks % 64 !== 0) return
        reply.pause()
        both.forEach((running, i) => {
          most[i] = Math.max(most[i]!, running.rss)
        })
        setTimeout(() => reply.resume(), 5)
      })
      reply.on('error', failed)
      reply.on('end', () => done(bytes))
    })
    asked.on('error', failed)
    asked.end()
  })
  t.equal(got, size)
  for (const [i, name] of ['inbound', 'outbound'].entries()) {
    const grown = most[i]! - idle[i]!
    t.ok(grown < allowedGrowth, `the ${name} sidecar grew by ${(grown / 2 ** 20).toFixed(1)} MiB`)
  }
  app.close()
})

async function freePort(address: string): Promise<number> {
  const server = createServer()
  const port = await listening(server, address)
  await new Promise((done) => server.close(done))
  return port
}

function meshYaml(port: number): string {
  return `apiVersion: v1
kind: Service
metadata: { name: big, namespace: default }
spec:
  selector: { app: big }
  ports: [{ name: http, port: 80, targetPort: ${port} }]
---
apiVersion: v1
kind: Pod
metadata: { name: big-1, namespace: default, labels: { app: big } }
spec: {}
status: { phase: Running, podIP: 127.0.78.1 }
`
}
