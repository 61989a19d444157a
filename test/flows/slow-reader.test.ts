/**
 * Much data through two sidecars to a reader that is slow, as HTTP and as opaque TCP, down and up:
 * `OUTRIDER_LONG=1` makes the download over HTTP 2 GiB.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { Running, type Started } from '../support/running.ts'
import { ownPortsYaml } from '../support/sidecar.ts'
import { freePort } from '../support/sockets.ts'
import { listening } from '../support/upstream.ts'

const long = process.env['OUTRIDER_LONG'] === '1'
const mebi = 1024 * 1024
const allowedGrowth = 64 * mebi

/** Writes `size` bytes as fast as they are taken. */
function pour(socket: Socket, size: number): void {
  const chunk = Buffer.alloc(mebi, 'x')
  let left = size
  const more = (): void => {
    while (left > 0) {
      left -= chunk.length
      if (!socket.write(chunk)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

/** Resolves when `size` bytes were read with pauses; calls `look` in each of them. */
function sip(socket: Socket, size: number, look: () => void): Promise<number> {
  return new Promise((done, failed) => {
    let bytes = 0
    let chunks = 0
    socket.on('error', failed)
    socket.on('close', () => failed(new RangeError(`closed after ${bytes} bytes`)))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes >= size) done(bytes)
      // Slow: what was sent piles up in front of the reader.
      if (++chunks % 64 !== 0) return
      socket.pause()
      look()
      setTimeout(() => socket.resume(), 5)
    })
  })
}

interface Mesh extends AsyncDisposable {
  /** The port of the outbound sidecar that leads to the application, on its named service port. */
  readonly http: number
  readonly tcp: number
  /** Notes how much memory each takes now. */
  readonly look: () => void
  readonly grown: () => Array<readonly [name: string, bytes: number]>
}

async function start(t: Test, onSocket: (socket: Socket) => void): Promise<Mesh> {
  const app = createServer((socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  const appPort = await listening(app)
  const folder = mkdtempSync(join(tmpdir(), 'outrider-slow-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true })
    app.close()
  })
  const [http, tcp, bound] = [
    await freePort('127.0.78.1'),
    await freePort('127.0.78.1'),
    await freePort('127.0.0.1'),
  ]
  writeFileSync(join(folder, 'mesh.yaml'), ownPortsYaml('big', '127.0.78.1', http, tcp))
  const common = ['--config', folder, '--workers', '1', '--settle-time', '0s']
  const at = ['--ip', '127.0.78.1', '--labels', 'app=big', '--app', `127.0.0.1:${appPort}`]
  const inbound = new Running([...common, ...at])
  const bind = ['--bind', `big:90=127.0.0.1:${bound}`]
  const outbound = new Running([...common, '--ip', '127.0.78.2', ...bind])
  await inbound.said(/ is ready after /)
  const { places } = (await outbound.said(/ is ready after /)) as unknown as Started
  const both = [inbound, outbound]
  const idle = both.map(({ rss }) => rss)
  const most = [...idle]
  return {
    http: Number(places.outbound.slice(places.outbound.lastIndexOf(':') + 1)),
    tcp: bound,
    look: () =>
      both.forEach(({ rss }, i) => {
        most[i] = Math.max(most[i]!, rss)
      }),
    grown: () => [
      ['inbound', most[0]! - idle[0]!],
      ['outbound', most[1]! - idle[1]!],
    ],
    async [Symbol.asyncDispose]() {
      for (const running of both) await running[Symbol.asyncDispose]()
    },
  }
}

function judge(t: Test, mesh: Mesh): void {
  for (const [name, bytes] of mesh.grown())
    t.ok(bytes < allowedGrowth, `the ${name} sidecar grew by ${(bytes / mebi).toFixed(1)} MiB`)
}

test('a slow reader of a large reply costs each proxy little memory', {
  timeout: 600_000,
}, async (t) => {
  const size = (long ? 2_048 : 64) * mebi
  await using mesh = await start(t, (socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      pour(socket, size)
    })
  })
  const socket = connect(mesh.http, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: big\r\n\r\n')
  t.ok((await sip(socket, size, mesh.look)) >= size)
  judge(t, mesh)
  socket.destroy()
})

test('a slow application that is sent a large body costs each proxy little memory', {
  timeout: 600_000,
}, async (t) => {
  const size = 64 * mebi
  let mesh: Mesh | undefined
  await using running = await start(t, (socket) => {
    void sip(socket, size, () => mesh?.look()).then((bytes) =>
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-enough: ${bytes >= size}\r\n\r\n`),
    )
  })
  mesh = running
  const socket = connect(mesh.http, '127.0.0.1')
  const reply = new Promise<string>((done) => socket.once('data', (chunk) => done(String(chunk))))
  socket.write(`POST / HTTP/1.1\r\nhost: big\r\ncontent-length: ${size}\r\n\r\n`)
  pour(socket, size)
  t.match(await reply, /^HTTP\/1\.1 200 OK\r\n[\s\S]*x-enough: true/)
  judge(t, mesh)
  socket.destroy()
})

test('a slow reader of opaque TCP costs each proxy little memory', {
  timeout: 600_000,
}, async (t) => {
  const size = 64 * mebi
  await using mesh = await start(t, (socket) => socket.once('data', () => pour(socket, size)))
  const socket = connect(mesh.tcp, '127.0.0.1')
  socket.write('now')
  t.equal(await sip(socket, size, mesh.look), size)
  judge(t, mesh)
  socket.destroy()
})
