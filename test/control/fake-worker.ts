/**
 * Stands in for worker/main.ts: listens with reusePort and answers each connection with one line
 * (`id version endpoints`), links snapshots at once, and does what the behaviour in its log level says.
 */
import { createServer, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import type { Snapshot } from '../../config/snapshot.ts'
import type { FromWorker, ToWorker, WorkerSettings } from '../../proxy/worker/messages.ts'
import { Unpacker } from '../../proxy/worker/unpack.ts'

const settings = workerData as WorkerSettings
const port = parentPort!
const say = (message: FromWorker): void => port.postMessage(message)

/** `die-at-birth`, `die-linking:VERSION`, `mute` (answers no query): comma separated in logLevel. */
const behaviour = new Set(settings.logLevel.split(','))
const unpacker = new Unpacker()
let snapshot: Snapshot | undefined
let draining: { graceMs: number } | undefined
let faults = settings.faults ?? []
const open = new Set<Socket>()

if (behaviour.has('die-at-birth')) throw new RangeError('born dead')
if (behaviour.has('cannot-listen')) {
  say({ type: 'failed', what: 'listeners', message: 'no such luck' })
}

const server = createServer((socket) => {
  open.add(socket)
  socket.on('close', () => {
    open.delete(socket)
    settle()
  })
  socket.on('error', () => undefined)
  socket.on('data', (bytes) => {
    const word = bytes.toString().trim()
    if (word === 'die') throw new RangeError('asked to die')
    const endpoints = [...(snapshot?.endpointSets ?? [])].map(([set, all]) => {
      return `${set}=${all.map((endpoint) => endpoint.address).join('+')}`
    })
    socket.write(`${settings.id} ${snapshot?.version ?? '-'} ${endpoints.join(' ')}\n`)
  })
})
if (!behaviour.has('cannot-listen'))
  server.listen({ host: '127.0.0.1', port: settings.outbound.port, reusePort: true }, () => {
    const bound = server.address()
    const real = typeof bound === 'object' ? (bound?.port ?? 0) : 0
    say({ type: 'listening', outbound: real, inbound: 0 })
  })

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'snapshot':
      if (behaviour.has(`die-linking:${message.change.version}`)) throw new RangeError('poisoned')
      snapshot = unpacker.take(message.change)
      say({ type: 'linked', version: snapshot.version, ms: 1 })
      break
    case 'endpoints':
      if (snapshot !== undefined) {
        const endpointSets = new Map(snapshot.endpointSets).set(message.set, message.endpoints)
        snapshot = { ...snapshot, endpointSets }
      }
      break
    case 'drain':
      drain(message.graceMs)
      break
    case 'query':
      if (!behaviour.has('mute')) answer(message.id, message.what)
      break
    case 'faults':
      faults = message.leases
      break
    case 'log-level':
      behaviour.add(`level:${message.level}`)
      break
    case 'shared':
      break
    case 'stop':
      process.exit(0)
  }
})

function answer(id: number, what: 'clusters' | 'stats'): void {
  const value =
    what === 'stats'
      ? { connections: open.size, worker: settings.id }
      : [...behaviour, ...faults.map(({ text }) => text)]
  say({ type: 'answer', id, value })
}

function drain(graceMs: number): void {
  draining = { graceMs }
  server.close()
  setTimeout(() => {
    const cut = open.size
    for (const socket of open) socket.destroy()
    if (draining !== undefined) say({ type: 'drained', finished: 0, cut })
    draining = undefined
  }, graceMs).unref()
  settle()
}

function settle(): void {
  if (draining === undefined || open.size > 0) return
  draining = undefined
  say({ type: 'drained', finished: 1, cut: 0 })
}
