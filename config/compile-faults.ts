/** fault of a rule, and what annotations add to it: as the proxy carries it out. */
import { Annotation } from './annotation-names.ts'
import { type HttpRule, placeOfField } from './compile-rules.ts'
import { readFaults, type WrittenFault } from './fault-text.ts'
import { GRPC_CODES } from './grpc-codes.ts'
import type { HttpFault } from './kinds.ts'
import type { FaultAction, FaultSpec, FaultsSpec } from './snapshot.ts'

/** Undefined: the rule disturbs nothing. */
export function faultsSpec(rule: HttpRule): FaultsSpec | undefined {
  const { route, source } = rule
  const { annotations } = source
  const at = placeOfField(rule, 'fault')
  const eachTry = readPlacement(annotations[Annotation.FaultPlacement] ?? '') === true
  const found: FaultSpec[] = []
  const add = (action: FaultAction | undefined, share: number, part: string) => {
    if (action === undefined || share <= 0) return
    found.push({ action, share, origin: at.source.originAt([...at.path, part]) })
  }
  const { fault } = route
  add(delayOf(fault), shareOf(fault?.delay), 'delay')
  add(abortOf(fault), shareOf(fault?.abort), 'abort')
  const origin = source.originAt(['metadata', 'annotations', Annotation.Faults])
  for (const { action, rule: name, share } of writtenFaults(annotations[Annotation.Faults]))
    if (name === '' || name === route.name) found.push({ action, share, origin })
  if (found.length === 0) return undefined
  return placed(found, eachTry, readSeed(annotations[Annotation.FaultSeed] ?? ''))
}

/** Only delays and aborts can stand before the retries; the rest is something an endpoint does. */
export function placed(
  faults: readonly FaultSpec[],
  eachTry: boolean,
  seed: number | string | undefined,
): FaultsSpec {
  const before = ({ action: { kind } }: FaultSpec) =>
    !eachTry && (kind === 'delay' || kind === 'abort')
  return {
    seed: typeof seed === 'number' ? seed : undefined,
    beforeRetries: faults.filter(before),
    eachTry: faults.filter((fault) => !before(fault)),
  }
}

/** True: in every try. A sentence where it is neither of the two. */
export function readPlacement(text: string): boolean | string {
  if (text === 'each-try') return true
  if (text === 'before-retries') return false
  return `"${text}" is neither before-retries nor each-try`
}

/** A sentence where it is no number. */
export function readSeed(text: string): number | string {
  return /^\d{1,10}$/.test(text) ? Number(text) : `"${text}" is no whole number`
}

function writtenFaults(text: string | undefined): readonly WrittenFault[] {
  const faults = text === undefined ? [] : readFaults(text)
  return typeof faults === 'string' ? [] : faults
}

function delayOf(fault: HttpFault | undefined): FaultAction | undefined {
  const ms = fault?.delay?.fixedDelayMs
  return ms === undefined ? undefined : { kind: 'delay', ms }
}

function abortOf(fault: HttpFault | undefined): FaultAction | undefined {
  const { grpcStatus, httpStatus } = fault?.abort ?? {}
  if (grpcStatus !== undefined)
    return { kind: 'abort', status: 200, grpcStatus: GRPC_CODES.indexOf(grpcStatus) }
  if (httpStatus !== undefined) return { kind: 'abort', status: httpStatus, grpcStatus: undefined }
  return undefined
}

/** The deprecated whole percent counts where there is no percentage. */
function shareOf(part: HttpFault['delay'] | HttpFault['abort']): number {
  const { percentage, percent = 0 } = (part ?? {}) as NonNullable<HttpFault['delay']>
  return (percentage === undefined ? percent : (percentage.value ?? 0)) / 100
}
