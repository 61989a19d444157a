/**
 * A server closes kept connections after exactly N ms, and requests arrive just then: 6,000 of them, and
 * 120,000 with OUTRIDER_LONG=1. Or it closes whatever is used a second time, without an answer.
 */
import { connect, createServer, type Socket } from 'node:net'
import { type Test, test } from 'tap'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { listening } from '../support/upstream.ts'

const total = process.env['OUTRIDER_LONG'] === '1' ? 20_000 : 1_000
const atOnce = 50
const idleMs = 20
const cluster = 'outbound|80||web.default.svc.cluster.local'

/**
 * Answers each request at once and closes the connection `idleMs` after the answer; `spiteful`: when the
 * next one arrives on it.
 */
async function startServer(spiteful: boolean) {
  const seen = new Map<string, number>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let text = ''
    let served = false
    let closing: NodeJS.Timeout | undefined
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(closing)
      sockets.delete(socket)
    })
    socket.on('data', (bytes) => {
      clearTimeout(closing)
      if (served && spiteful) socket.destroy()
      // Who has closed reads no more.
      if (socket.writableEnded || socket.destroyed) return
      text += bytes.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end < 0 || (text.startsWith('POST') && text.length < end + 6)) return
      const id = /x-id: (\d+)/.exec(text)?.[1] ?? ''
      seen.set(id, (seen.get(id) ?? 0) + 1)
      text = ''
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      served = true
      if (!spiteful) closing = setTimeout(() => socket.end(), idleMs)
    })
  })
  const port = await listening(server)
  return {
    port,
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}

/** A kept connection to the proxy, one request at a time; resolves with the status. */
class Client {
  private readonly socket: Socket
  private text = ''
  private told: ((status: number) => void) | undefined

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', () => this.tell(0))
    this.socket.on('close', () => this.tell(0))
    this.socket.on('data', (bytes) => {
      this.text += bytes.toString('latin1')
      const end = this.text.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = Number(/content-length: (\d+)/i.exec(this.text)?.[1])
      if (this.text.length >= end + 4 + length) this.tell(Number(this.text.slice(9, 12)))
    })
  }

  send(method: string, id: number): Promise<number> {
    const body = method === 'POST' ? 'content-length: 2\r\n\r\nhi' : '\r\n'
    this.text = ''
    return new Promise((done) => {
      this.told = done
      this.socket.write(`${method} / HTTP/1.1\r\nhost: web\r\nx-id: ${id}\r\n${body}`)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private tell(status: number): void {
    this.told?.(status)
    this.told = undefined
  }
}

const yaml = (port: number, round: number): string => `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: default }
spec: { host: web, trafficPolicy: { connectionPool: { tcp: { connectTimeout: ${5_000 + round}ms } } } }
`

type Kind = 'patient' | 'forgetful' | 'spiteful'

/** Bursts with pauses of N ± 2 ms between them; but for `patient` the proxy learns nothing from them. */
async function race(t: Test, method: string, kind: Kind): Promise<void> {
  t.setTimeout(900_000)
  await using server = await startServer(kind === 'spiteful')
  await using sidecar = await Sidecar.start({ yaml: yaml(server.port, 0) })
  const clients = Array.from({ length: atOnce }, () => new Client(sidecar.port))
  const statuses = new Map<number, number>()
  for (let round = 0; round * atOnce < total; round++) {
    // A changed policy is a new pool, which knows nothing of the server's patience.
    if (kind !== 'patient' && round % 2 === 0) sidecar.reload(yaml(server.port, round))
    const replies = await Promise.all(clients.map((one, i) => one.send(method, round * atOnce + i)))
    for (const status of replies) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (kind !== 'spiteful') await new Promise((done) => setTimeout(done, idleMs - 2 + (round % 5)))
  }
  for (const client of clients) client.close()
  const races = sidecar.value('upstreamReuseRaces', [cluster])
  const failed = statuses.get(503) ?? 0
  t.comment(`${method} ${kind}: ${races} races, ${failed} failures of ${total}`)
  t.equal((statuses.get(200) ?? 0) + failed, total, 'every request got an answer')
  if (kind === 'spiteful') t.ok(races > 0, `${races} closed when they were used again`)
  if (method === 'GET') t.equal(failed, 0)
  else checkFailures(t, sidecar, failed)
  const carriedOut = [...server.seen.values()]
  t.equal(carriedOut.length + failed, total)
  t.ok(
    carriedOut.every((times) => times === 1),
    'none was carried out twice',
  )
}

/** A POST may fail only where the server could have read it. */
function checkFailures(t: Test, sidecar: Sidecar, failed: number): void {
  const records = sidecar.exchanges.filter(({ status }) => status === 503)
  t.equal(records.length, failed)
  t.ok(
    records.every(({ attempts, flags }) => flags === Flag.UC && attempts === 1),
    'bytes of each were written to a kept connection',
  )
}

for (const method of ['GET', 'POST']) {
  test(`${method}: a server that closes after ${idleMs} ms`, (t) => race(t, method, 'patient'))
  test(`${method}: before the proxy has learnt when it closes`, (t) => race(t, method, 'forgetful'))
  test(`${method}: a server that drops what is used again`, (t) => race(t, method, 'spiteful'))
}
