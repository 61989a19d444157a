/** What one side did, as flat text by path, so that two of them can be laid side by side. */
import type { Dialogue, Reply } from './dialogue.ts'
import type { Fields } from './message.ts'
import type { Seen } from './upstream.ts'

export type Observation = ReadonlyMap<string, string>

/** One access log line of either proxy. */
export interface LogLine {
  readonly status: number
  readonly flags: string
  readonly details: string
  readonly attempts: number
}

export function observationOf(
  dialogue: Dialogue,
  seen: readonly Seen[],
  log: readonly LogLine[],
): Observation {
  const all = new Map<string, string>()
  for (const [i, reply] of dialogue.replies.entries()) noteReply(all, `reply ${i + 1}`, reply)
  for (const [name, text] of Object.entries(dialogue.notes)) all.set(`note: ${name}`, text)
  all.set('upstream: requests', String(seen.length))
  for (const [i, request] of seen.entries()) noteSeen(all, `upstream ${i + 1}`, request)
  log.forEach(({ status, flags, details, attempts }, i) => {
    all.set(`log ${i + 1}: status`, String(status))
    all.set(`log ${i + 1}: flags`, flags.split(',').sort().join(','))
    all.set(`log ${i + 1}: details`, details)
    all.set(`log ${i + 1}: attempts`, String(attempts))
  })
  return all
}

function noteReply(all: Map<string, string>, name: string, reply: Reply): void {
  all.set(`${name}: status`, String(reply.status))
  all.set(`${name}: ending`, reply.ending)
  for (const [i, head] of reply.interim.entries()) all.set(`${name}: interim ${i + 1}`, head)
  for (const [field, value] of fieldsOf(reply.trailers)) all.set(`${name}: trailer ${field}`, value)
  all.set(`${name}: body`, reply.body)
  for (const [field, value] of fieldsOf(reply.fields))
    all.set(`${name}: ${field}`, normal(field, value))
}

function noteSeen(all: Map<string, string>, name: string, seen: Seen): void {
  all.set(`${name}: asked`, `${seen.method} ${seen.target}`)
  all.set(`${name}: endpoint`, seen.endpoint)
  all.set(`${name}: ending`, seen.ending)
  all.set(`${name}: body`, seen.body)
  for (const [field, value] of fieldsOf(seen.fields))
    all.set(`${name}: ${field}`, normal(field, value))
  for (const [field, value] of fieldsOf(seen.trailers)) all.set(`${name}: trailer ${field}`, value)
}

/** Lines of one name joined, in the order of their names. */
function fieldsOf(fields: Fields): ReadonlyMap<string, string> {
  const all = new Map<string, string>()
  for (const [name, value] of fields) {
    const before = all.get(name)
    all.set(name, before === undefined ? value : `${before} | ${value}`)
  }
  return all
}

/** Values that hang on the moment become their kind. */
function normal(name: string, value: string): string {
  if (name === 'connection') return value.toLowerCase()
  if (name === 'date') return 'a date'
  if (name === 'x-envoy-upstream-service-time') return 'a number'
  if (name === 'x-request-id' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value))
    return 'a UUID'
  return value
}

/**
 * A reply that Outrider made says more than Envoy's: Envoy's text must be its beginning, and what
 * follows (with its length and type) and the x-outrider fields are left out of the comparison.
 */
export function alignLocalReplies(
  ours: Observation,
  theirs: Observation,
): [outrider: Observation, envoy: Observation] {
  const [outrider, envoy] = [new Map(ours), new Map(theirs)]
  for (const path of ours.keys()) {
    const [, reply] = /^(reply \d+): x-outrider-reason$/.exec(path) ?? []
    if (reply === undefined) continue
    const text = envoy.get(`${reply}: body`) ?? ''
    if (ours.get(`${reply}: body`)?.startsWith(text)) outrider.set(`${reply}: body`, text)
    const words = envoy.get(`${reply}: grpc-message`)
    if (ours.get(`${reply}: grpc-message`)?.startsWith(words ?? '')) {
      if (words === undefined) outrider.delete(`${reply}: grpc-message`)
      else outrider.set(`${reply}: grpc-message`, words)
    }
    for (const field of [
      'content-length',
      'content-type',
      'x-outrider-reason',
      'x-outrider-origin',
    ])
      for (const side of [outrider, envoy]) side.delete(`${reply}: ${field}`)
  }
  return [outrider, envoy]
}

/** Path to what each side has, where they differ. */
export function differencesOf(
  outrider: Observation,
  envoy: Observation,
): Map<string, readonly [outrider: string | undefined, envoy: string | undefined]> {
  const found = new Map<string, readonly [string | undefined, string | undefined]>()
  for (const path of new Set([...outrider.keys(), ...envoy.keys()])) {
    const [ours, theirs] = [outrider.get(path), envoy.get(path)]
    if (ours !== theirs) found.set(path, [ours, theirs])
  }
  return found
}
