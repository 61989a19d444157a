import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { flagNames } from '../../proxy/telemetry/exchange-record.ts'
import { Upstreams } from '../peers/upstream.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { SilentPort } from '../support/silent-port.ts'
import { listening } from '../support/upstream.ts'
import { type Fault, faults, get } from './fault-table.ts'

t.test('every fault has its status, flags and details, and one line in the log', async (t) => {
  for (const fault of faults) await t.test(fault.name, (t) => prove(t, fault))
})

async function prove(t: Test, fault: Fault): Promise<void> {
  const upstreams = new Upstreams()
  t.teardown(() => upstreams.close())
  const ports = await portsOf(t, fault, upstreams)
  await using sidecar = await Sidecar.start({ yaml: yamlOf(fault, ports) })
  for (let i = 1; i <= (fault.before ?? 0); i++) {
    void exchange(sidecar.port, `GET /before${i} HTTP/1.1\r\nHost: web\r\n\r\n`)
    while (sidecar.runtime.services.exchanges.size < i) await turn()
    if (i === 1) while (upstreams.seen.length === 0) await turn()
  }
  if ((fault.before ?? 0) > 0) await turn()
  const got = fault.clientLeaves
    ? await leave(sidecar.port, upstreams, fault.status !== 0)
    : await exchange(sidecar.port, fault.request ?? get)
  await sidecar.recorded(1)
  for (let i = 0; i < 3; i++) await turn()
  t.equal(sidecar.exchanges.length, 1, 'one record')
  const [record] = sidecar.exchanges
  t.equal(record?.status, fault.status)
  t.equal(flagNames(record!.flags), fault.flags)
  t.equal(record?.details, fault.details)
  if (fault.attempts !== undefined) t.equal(record?.attempts, fault.attempts)
  if (fault.clientLeaves) return
  t.match(got, new RegExp(`^HTTP/1.1 ${fault.status} `))
  if (fault.reply !== undefined) {
    const [head = '', body = ''] = got.split('\r\n\r\n')
    t.match(fault.reply.source.startsWith('^') ? body : `${head}\n\n${body}`, fault.reply)
  }
}

const turn = () => new Promise((done) => setImmediate(done))

async function portsOf(t: Test, { endpoint }: Fault, upstreams: Upstreams): Promise<number[]> {
  if (endpoint === undefined || endpoint === 'none') return []
  if (endpoint === 'silent') {
    const silent = await SilentPort.open()
    t.teardown(() => silent[Symbol.asyncDispose]())
    return [silent.port]
  }
  if (endpoint !== 'refused') return [await upstreams.add('a', endpoint)]
  const closed = createServer()
  const port = await listening(closed)
  await new Promise((done) => closed.close(done))
  return [port]
}

function yamlOf({ policy, rule, subset, yaml = '' }: Fault, ports: readonly number[]): string {
  const to = subset === undefined ? '' : `, subset: ${subset}`
  const virtualService = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web${to} } }]${rule === undefined ? '' : `, ${rule}`} }]
`
  const destinationRule = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec: { host: web, ${policy} }
`
  const rules = `${policy === undefined ? '' : destinationRule}${yaml}`
  return serviceYaml('web', ports) + virtualService + rules
}

/** Everything that comes back for `text`, until the end or a reset. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1')
      // Without Connection: close the reply's end is not the connection's.
      if (!/connection: close/i.test(text) && got.includes('\r\n\r\n')) socket.end()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => done(got))
  })
}

/** Sends the request, and goes when the endpoint has it, or when part of the reply is here. */
async function leave(port: number, upstreams: Upstreams, replied: boolean): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1', () => socket.write(get))
  let got = ''
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1')
  })
  while (upstreams.seen.length === 0 || (replied && got === '')) await turn()
  socket.resetAndDestroy()
  return got
}
