/**
 * The smallest proxy that captured connections can be tried with: accepts on 15001 and 15006, notes the
 * original destination, forwards. Arguments: `VIP=ENDPOINT` (addresses). A line `take` on stdin yields
 * the notes since the last one.
 */
import { createSocket } from 'node:dgram'
import { connect, createServer, type Socket, type TcpNetConnectOpts } from 'node:net'
import { createInterface } from 'node:readline'
import { deliverySource, ports } from '../../../config/ports.ts'
import { canonicalAddress } from '../../../proxy/net/address.ts'
import { loopsBack, originalDestination } from '../../../proxy/net/original-destination.ts'

/** `in 10.77.2.2 8080`: the listener and the original destination, and what came of it. */
export interface Note {
  readonly captured: string
  outcome: string
}

const endpoints = new Map(process.argv.slice(2).map((pair) => pair.split('=') as [string, string]))
const proxyPorts = new Set<number>([ports.outbound, ports.inbound])
let notes: Note[] = []

function accept(direction: 'inbound' | 'outbound', client: Socket): void {
  client.on('error', () => undefined)
  const original = originalDestination(client)
  const side = direction === 'inbound' ? 'in' : 'out'
  if (original === undefined) {
    notes.push({ captured: side, outcome: 'no original destination' })
    client.resetAndDestroy()
    return
  }
  const note: Note = {
    captured: `${side} ${original.address} ${original.port}`,
    outcome: 'pending',
  }
  notes.push(note)
  const local = {
    address: canonicalAddress(client.localAddress ?? ''),
    port: client.localPort ?? 0,
  }
  if (loopsBack(original, local, direction, proxyPorts)) {
    note.outcome = 'loop'
    client.resetAndDestroy()
    return
  }
  forward(direction, client, original, note)
}

function forward(
  direction: 'inbound' | 'outbound',
  client: Socket,
  original: { address: string; port: number },
  note: Note,
): void {
  const { port } = original
  const source = original.address.includes(':') ? deliverySource.ipv6 : deliverySource.ipv4
  const target: TcpNetConnectOpts =
    direction === 'inbound'
      ? { host: original.address, port, localAddress: source, allowHalfOpen: true }
      : { host: endpoints.get(original.address) ?? original.address, port, allowHalfOpen: true }
  const upstream = connect(target, () => {
    note.outcome = 'forwarded'
    client.pipe(upstream).pipe(client)
  })
  upstream.on('error', (error: NodeJS.ErrnoException) => {
    if (note.outcome === 'pending') note.outcome = error.code ?? 'error'
    client.resetAndDestroy()
  })
  client.on('close', () => upstream.destroy())
  upstream.on('close', () => client.destroy())
}

let waiting = 0
function ready(): void {
  if (--waiting === 0) process.stdout.write('0 "ready"\n')
}

for (const [direction, port] of [
  ['outbound', ports.outbound],
  ['inbound', ports.inbound],
] as const) {
  waiting++
  createServer({ allowHalfOpen: true }, (socket) => accept(direction, socket)).listen(
    port,
    '::',
    1024,
    ready,
  )
}
waiting++
createServer((socket) => {
  socket.on('error', () => undefined)
  socket.on('data', () => socket.end('{"name":"health"}\n'))
}).listen(ports.health, '::', ready)

// DNS: answers itself, or asks the resolver that a query names (`forward ADDRESS`).
for (const host of ['127.0.0.1', '::1']) {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4')
  socket.on('message', (query, from) => {
    const [word, resolver] = String(query).split(' ')
    if (word !== 'forward') return socket.send('dns', from.port, from.address)
    const upstream = createSocket(resolver?.includes(':') ? 'udp6' : 'udp4')
    upstream.on('message', (answer) => {
      socket.send(`dns via ${answer}`, from.port, from.address)
      upstream.close()
    })
    upstream.send('query', 53, resolver)
    return undefined
  })
  waiting += 2
  socket.bind(ports.dns, host, ready)
  createServer((stream) => {
    const original = originalDestination(stream)
    stream.on('error', () => undefined)
    stream.on('data', () => stream.end(`dns for ${original?.address} ${original?.port}\n`))
  }).listen(ports.dns, host, ready)
}

createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${line.split(' ')[0]} ${JSON.stringify(notes)}\n`)
  notes = []
})
process.stdin.on('end', () => process.exit(0))
