/** The admin page /faults: what is disturbed now, more of it, less of it. */
import type { FaultLease } from '../../config/snapshot.ts'
import type { FaultDesk } from './fault-desk.ts'
import type { DoorReply, DoorRequest } from './http-door.ts'

export function faultPage(desk: FaultDesk, { method, query }: DoorRequest): DoorReply {
  if (method !== 'POST') return list(desk, query.get('format') === 'json')
  if (query.has('clear')) return clear(desk, query.get('clear') ?? '')
  const lease = desk.add(query)
  if (typeof lease === 'string') return { status: 400, body: `${lease}\n` }
  return { status: 200, body: `${lineOf(desk, lease)}\n` }
}

function list(desk: FaultDesk, json: boolean): DoorReply {
  const leases = desk.list()
  if (json) {
    const shown = leases.map(({ faults, ...lease }) => ({ ...lease, seed: faults.seed }))
    return {
      status: 200,
      type: 'application/json',
      body: `${JSON.stringify(shown, undefined, 2)}\n`,
    }
  }
  const lines = leases.map((lease) => lineOf(desk, lease))
  return { status: 200, body: `${lines.join('\n') || 'nothing is disturbed'}\n` }
}

function clear(desk: FaultDesk, which: string): DoorReply {
  if (which !== 'all' && !/^\d+$/.test(which))
    return { status: 400, body: `"${which}" is neither the number of one of them nor all\n` }
  const ended = desk.clear(which === 'all' ? undefined : Number(which))
  if (ended === 0 && which !== 'all')
    return { status: 404, body: `there is no ${which}: it was ended, or its time was over\n` }
  return { status: 200, body: `${ended} ended\n` }
}

/** `3  reviews.default.svc.cluster.local:9080  abort 503 10%  47 s left`. */
function lineOf(desk: FaultDesk, lease: FaultLease): string {
  const { id, host, port, subset, route, faults, text } = lease
  const where = `${host}${port === undefined ? '' : `:${port}`}`
  const only = [
    subset === undefined ? '' : `subset ${subset}`,
    route === undefined ? '' : `rule ${route}`,
    faults.seed === undefined ? '' : `seed ${faults.seed}`,
  ].filter((part) => part !== '')
  const left = `${Math.ceil(desk.left(lease) / 1000)} s left`
  return [String(id), where, ...only, text, left].join('  ')
}
