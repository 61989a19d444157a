/**
 * Faults in one line, as annotations and calls to the admin port write them:
 * `delay 500ms 10%; abort 503 5%; refuse 1%; reset 64KiB 2%; truncate 100 2%; slow 10KiB/s 20%`.
 */
import { GRPC_CODES } from './grpc-codes.ts'
import { goDurationMs } from './schema/formats.ts'
import type { FaultAction } from './snapshot.ts'

export interface WrittenFault {
  /** Name of the rule it is for; `` for all. */
  readonly rule: string
  readonly action: FaultAction
  readonly share: number
}

export const FAULT_FORMS =
  'delay 500ms 10%, abort 503 10%, abort UNAVAILABLE 10%, refuse 10%, reset 1000 10%, truncate 1000 10%, slow 10KiB/s 10%'

/** A sentence where one of them cannot be read. */
export function readFaults(text: string): readonly WrittenFault[] | string {
  const faults: WrittenFault[] = []
  for (const part of text.split(/[;\n]/)) {
    if (part.trim() === '') continue
    const fault = readFault(part.trim())
    if (typeof fault === 'string') return fault
    faults.push(fault)
  }
  return faults.length === 0 ? `there is no fault in it: write ${FAULT_FORMS}` : faults
}

function readFault(text: string): WrittenFault | string {
  const [, rule = '', words = ''] = /^(?:([\w.-]+):\s+)?(.*)$/s.exec(text)!
  const [kind = '', ...rest] = words.split(/\s+/)
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(rest.at(-1) ?? '')?.[1]
  const share = percent === undefined ? 1 : Number(percent) / 100
  const argument = (percent === undefined ? rest : rest.slice(0, -1)).join(' ')
  const action = actionOf(kind, argument)
  if (action === undefined) return `"${text}" is no fault: write one of ${FAULT_FORMS}`
  if (share > 1 || share === 0) return `"${text}": ${percent} % is not between 0 and 100`
  return { rule, action, share }
}

function actionOf(kind: string, argument: string): FaultAction | undefined {
  switch (kind) {
    case 'delay': {
      const ms = goDurationMs(argument)
      return ms === undefined || ms <= 0 ? undefined : { kind, ms }
    }
    case 'abort':
      return abortOf(argument)
    case 'refuse':
      return argument === '' ? { kind } : undefined
    case 'reset':
    case 'truncate': {
      const afterBytes = bytesOf(argument)
      return afterBytes === undefined ? undefined : { kind, afterBytes }
    }
    case 'slow': {
      const bytesPerSecond = argument.endsWith('/s') ? bytesOf(argument.slice(0, -2)) : undefined
      return bytesPerSecond === undefined || bytesPerSecond === 0
        ? undefined
        : { kind, bytesPerSecond }
    }
    default:
      return undefined
  }
}

function abortOf(argument: string): FaultAction | undefined {
  const grpcStatus = GRPC_CODES.indexOf(argument)
  if (grpcStatus >= 0) return { kind: 'abort', status: 200, grpcStatus }
  const status = /^\d{3}$/.test(argument) ? Number(argument) : 0
  if (status < 200 || status > 599) return undefined
  return { kind: 'abort', status, grpcStatus: undefined }
}

/** `1000`, `10KB`, `64KiB`, `1MiB`. */
function bytesOf(text: string): number | undefined {
  const [, count, unit = 'B'] = /^(\d{1,12})(B|KB|KiB|MB|MiB)?$/.exec(text) ?? []
  const size = { B: 1, KB: 1e3, KiB: 1024, MB: 1e6, MiB: 1024 * 1024 }[unit]
  return count === undefined || size === undefined ? undefined : Number(count) * size
}
