/**
 * One proxied request through everything but sockets: listener, codecs, routing, retry policy, pool,
 * metrics and, in the second row, Istio's access log; with the bytes each request leaves to the collector.
 */
import { getHeapStatistics } from 'node:v8'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import { latin1 } from '../../proxy/base/bytes.ts'
import { clock } from '../../proxy/base/clock.ts'
import type { Dialer } from '../../proxy/net/dialing.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { istioLine } from '../../proxy/telemetry/istio-line.ts'
import { Runtime } from '../../proxy/worker/runtime.ts'
import { meshFiles } from '../peers/mesh-yaml.ts'
import { meshPlan } from '../peers/peer.ts'
import { measure } from './measure.ts'
import { NullConnection } from './null-connection.ts'

const wire = Buffer.alloc(4096)
const encode = (text: string): number => wire.write(text, 'latin1')

/** Encodes what is written, as sockets do. */
class EncodingConnection extends NullConnection {
  private held = ''

  override write(bytes: Buffer): boolean {
    this.bytesWritten += encode(this.held + latin1(bytes, 0, bytes.length))
    this.held = ''
    return true
  }

  override writeText(text: string): boolean {
    this.held += text
    return true
  }

  flush(): void {
    if (this.held !== '') this.bytesWritten += encode(this.held)
    this.held = ''
  }
}

const fail = (what: string): never => {
  throw new Error(what)
}
const runtime = new Runtime(
  {
    id: 0,
    workers: 1,
    outbound: { address: '127.0.0.1', port: 0 },
    inbound: undefined,
    explicit: true,
    binds: [],
    app: undefined,
    accessLog: 'off',
    logLevel: 'error',
  },
  new Instruments(() => undefined),
  fail,
)
const files = [...meshFiles(meshPlan, { port: 9_000, sinkPort: 9_001 })]
const { resources } = load(files.map(([path, text]) => ({ path, text })))
const workload = { name: 'a', namespace: 'default', serviceAccount: 'default' }
const { snapshot } = compile(resources, { ...workload, labels: {}, addresses: ['127.0.0.1'] })
runtime.apply(snapshot)

/** The one given out last: the pool hands out what became free last. */
const upstreams: EncodingConnection[] = []
const dialer: Dialer = {
  dial(_target, receiver) {
    const upstream = new EncodingConnection()
    upstreams.push(upstream)
    queueMicrotask(() => receiver.onConnected(upstream))
    return { cancel() {} }
  },
}
Reflect.set(Reflect.get(runtime.clusters, 'context'), 'dialer', dialer)

function client(): EncodingConnection {
  const connection = new EncodingConnection()
  runtime.accept(runtime.outbound, connection)
  return connection
}

const request = Buffer.from('GET /100 HTTP/1.1\r\nHost: web:8080\r\n\r\n')
const reply = Buffer.from(
  `HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 16:34:54 GMT\r\nContent-Type: text/plain\r\nContent-Length: 100\r\nConnection: keep-alive\r\n\r\n${'x'.repeat(100)}`,
)
const turn = (): Promise<void> => new Promise((done) => setImmediate(done))
const downstream = client()
downstream.receiver.onBytes(request, 0, request.length)
await turn()
const upstream = upstreams[0]!
upstream.receiver.onBytes(reply, 0, reply.length)

function exchange(): void {
  clock.refresh()
  downstream.receiver.onBytes(request, 0, request.length)
  upstream.flush()
  clock.refresh()
  upstream.receiver.onBytes(reply, 0, reply.length)
  downstream.flush()
}

const count = 50_000

function measured(name: string): void {
  measure(name, count, exchange)
  const before = getHeapStatistics() as unknown as { total_allocated_bytes: number }
  for (let i = 0; i < count; i++) exchange()
  const after = getHeapStatistics() as unknown as { total_allocated_bytes: number }
  const bytes = (after.total_allocated_bytes - before.total_allocated_bytes) / count
  console.log(`${'  bytes allocated for each'.padEnd(56)} ${bytes.toFixed(0).padStart(8)}`)
}

measured('GET through a whole sidecar, 100 bytes back')

/** As many at once: how much of what they leave outlives a collection. */
async function crowd(size: number): Promise<void> {
  const clients = Array.from({ length: size }, client)
  const round = (): void => {
    clock.refresh()
    for (const one of clients) one.receiver.onBytes(request, 0, request.length)
    for (const one of upstreams) one.flush()
    clock.refresh()
    for (const one of upstreams) one.receiver.onBytes(reply, 0, reply.length)
    for (const one of clients) one.flush()
  }
  for (const one of clients) one.receiver.onBytes(request, 0, request.length)
  for (let i = 0; i < 10; i++) await turn()
  for (const one of upstreams) one.receiver.onBytes(reply, 0, reply.length)
  for (let i = 0; i < 60; i++) round()
  const before = process.cpuUsage()
  const rounds = Math.ceil(100_000 / size)
  for (let i = 0; i < rounds; i++) round()
  const { user, system } = process.cpuUsage(before)
  const each = ((user + system) * 1000) / (rounds * size)
  console.log(`${`${size} in flight, all threads`.padEnd(56)} ${each.toFixed(0).padStart(8)} ns`)
}

for (const size of [16, 64, 1_000]) await crowd(size)
runtime.services.recorder.log = {
  exchange: (record) => {
    encode(istioLine(record))
  },
  connection() {},
}
measured('the same with a line of the access log')
if (downstream.bytesWritten === 0) console.log('nothing was proxied')
process.exit(0)
