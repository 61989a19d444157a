/** One thread of traffic: listens first, then follows the snapshots and questions of the main thread. */
import { parentPort, workerData } from 'node:worker_threads'
import { clock } from '../base/clock.ts'
import { invariant, unreachable } from '../base/invariant.ts'
import { shrinkHeap } from '../base/memory.ts'
import { wheel } from '../base/timer-wheel.ts'
import { replayMemory } from '../exchange/replay-buffer.ts'
import { dialsUnderWay } from '../net/dial.ts'
import { receiveBuffers } from '../net/receive-buffers.ts'
import { openConnections } from '../net/socket-connection.ts'
import { Instruments } from '../telemetry/instruments.ts'
import { Doors } from './doors.ts'
import { drain } from './drain.ts'
import type {
  ClusterStatus,
  FromWorker,
  ToWorker,
  WorkerSettings,
  WorkerStats,
} from './messages.ts'
import { Runtime } from './runtime.ts'
import { Unpacker } from './unpack.ts'

invariant(parentPort !== null, 'worker/main.ts runs as a worker thread')
const port = parentPort
const settings = workerData as WorkerSettings

const tell = (message: FromWorker): void => port.postMessage(message)
const failed = (what: string, message: string): void => tell({ type: 'failed', what, message })

const instruments = new Instruments((message) => tell({ type: 'instruments', message }))
const runtime = new Runtime(
  settings,
  instruments,
  (message) => failed('access log', message),
  (message) => tell({ type: 'shared', message }),
  (key, text) => tell({ type: 'note', key, text }),
)
const unpacker = new Unpacker()
const doors = new Doors(settings, runtime, failed)

port.on('message', (message: ToWorker) => {
  clock.refresh()
  receive(message)
})

try {
  tell({ type: 'listening', ...(await doors.open()) })
} catch (error) {
  failed('listeners', (error as Error).message)
}

function receive(message: ToWorker): void {
  switch (message.type) {
    case 'snapshot': {
      const begun = clock.now
      const first = runtime.snapshot === undefined
      runtime.apply(unpacker.take(message.change))
      void doors.follow()
      // Before anybody is told that this worker serves: later it would hold up traffic.
      if (first) shrinkHeap()
      const ms = clock.refresh() - begun
      tell({ type: 'linked', version: message.change.version, ms })
      break
    }
    case 'endpoints':
      runtime.updateEndpoints(message.set, message.endpoints)
      break
    case 'shared':
      runtime.shared.receive(message.message)
      break
    case 'retire':
      if (runtime.snapshot !== undefined) runtime.services.codecs.retire()
      break
    case 'drain':
      void drain(runtime, doors, message.direction, message.graceMs).then((ledger) =>
        tell({ type: 'drained', ...ledger }),
      )
      break
    case 'query':
      tell({
        type: 'answer',
        id: message.id,
        value: message.what === 'stats' ? stats() : clusters(),
      })
      break
    case 'faults':
      runtime.faults.replace(message.leases)
      break
    case 'log-level':
      // Workers log through the main thread, which filters.
      break
    case 'rest':
      receiveBuffers.release()
      shrinkHeap()
      break
    case 'stop':
      // Lines of the access log may still be on their way.
      void runtime.close().finally(() => process.exit(0))
      break
    default:
      unreachable(message)
  }
}

function clusters(): ClusterStatus[] {
  if (runtime.snapshot === undefined) return []
  return [...runtime.clusters.all()].map((cluster) => cluster.status())
}

/** Gauges that must come back to where they were when nothing runs: the leak counters. */
function stats(): WorkerStats {
  const base = {
    connections: openConnections.count,
    dials: dialsUnderWay.count,
    timers: wheel.size,
    bufferBytesInFlight: receiveBuffers.inFlightBytes,
    replayBytes: replayMemory.bytes,
    heapBytes: process.memoryUsage().heapUsed,
  }
  if (runtime.snapshot === undefined) return base
  const { codecs, exchanges, forwards } = runtime.services
  const held = runtime.clusters.held()
  return {
    ...base,
    httpConnections: codecs.size,
    exchanges: exchanges.size,
    tcpForwards: forwards.size,
    upstreamConnections: held.connections,
    upstreamDials: held.dials,
    upstreamWaiters: held.waiters,
  }
}
