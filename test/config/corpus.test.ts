/** Istio's own verdicts on 498 cases and 257 valid files, judged in this process. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import t from 'tap'
import { problemLine } from '../../config/diagnostics.ts'
import { load } from '../../config/load.ts'
import type { Problem } from '../../config/resource.ts'
import { corpusFiles, istioConfig, istioSamples, needed } from './corpus-files.ts'

interface Message {
  readonly code: string
  readonly kind: string
  readonly object: string
  readonly severity: string
  readonly file: string
  readonly objectLines: readonly [number, number]
  readonly text: string
}
interface Case {
  readonly id: string
  readonly files: readonly string[]
  readonly messages: readonly Message[]
  readonly also?: readonly Message[]
  readonly optional?: boolean
}

function read(file: string): { path: string; text: string } {
  return { path: basename(file), text: readFileSync(`${istioConfig}/${file}`, 'utf8') }
}

const isError = ({ severity }: Problem) => severity === 'error'

/**
 * Stricter than the corpus' own runner: a rejected object needs an error of ours within its lines;
 * the notice that something is not implemented never counts.
 */
function isNamed(message: Message, problems: readonly Problem[]): boolean {
  const [first, last] = message.objectLines
  const within = problems.filter(
    ({ file, line, code }) =>
      file === basename(message.file) && line >= first && line <= last && code !== 'OUT-NOTYET',
  )
  return message.code === 'IST0106' ? within.some(isError) : within.length > 0
}

/** What must be named, at least, of each kind; `of` guards against a corpus that shrank. */
const FLOOR: Readonly<Record<string, { readonly named: number; readonly of: number }>> = {
  Service: { named: 6, of: 6 },
  VirtualService: { named: 129, of: 130 },
  DestinationRule: { named: 59, of: 59 },
  ServiceEntry: { named: 56, of: 56 },
  WorkloadEntry: { named: 12, of: 12 },
  Sidecar: { named: 58, of: 58 },
}

t.test('what Istio rejects or warns about is named within the lines of its object', async (t) => {
  if (!needed(t)) return
  const cases = JSON.parse(readFileSync(`${istioConfig}/cases.json`, 'utf8')) as readonly Case[]
  const named = new Map<string, number>()
  const all = new Map<string, number>()
  const missed: string[] = []
  for (const one of cases) {
    if (one.optional === true) continue
    const { problems } = load(one.files.map(read))
    for (const message of one.messages) {
      const { kind } = message
      if (FLOOR[kind] === undefined) continue
      all.set(kind, (all.get(kind) ?? 0) + 1)
      if (isNamed(message, problems)) named.set(kind, (named.get(kind) ?? 0) + 1)
      else missed.push(`${one.id} ${message.code} ${kind} ${message.object}: ${message.text}`)
    }
  }
  t.comment(missed.join('\n') || 'nothing missed')
  for (const [kind, floor] of Object.entries(FLOOR)) {
    t.equal(all.get(kind), floor.of, `${kind}: messages in the corpus`)
    t.ok(
      (named.get(kind) ?? 0) >= floor.named,
      `${kind}: ${named.get(kind)} of ${all.get(kind)} named`,
    )
  }
})

t.test('where Istio has nothing to say there is no error', async (t) => {
  if (!needed(t)) return
  const cases = JSON.parse(readFileSync(`${istioConfig}/cases.json`, 'utf8')) as readonly Case[]
  const silent = cases.filter(({ messages, also }) =>
    [...messages, ...(also ?? [])].every(({ severity }) => severity !== 'Error'),
  )
  t.ok(silent.length > 50, String(silent.length))
  for (const one of silent) {
    const { problems } = load(one.files.map(read))
    t.same(problems.filter(isError).map(problemLine), [], one.id)
  }
})

t.test('everything that Istio accepts is accepted, and read again the same', async (t) => {
  if (!needed(t)) return
  const files = corpusFiles('valid')
  t.equal(files.length, 257)
  for (const file of files) {
    const loaded = load([read(file)])
    t.same(loaded.problems.filter(isError).map(problemLine), [], file)
    t.same(loaded.refused, [], file)
    t.same(
      load([read(file)]).resources.map(({ spec }) => spec),
      loaded.resources.map(({ spec }) => spec),
    )
  }
})

t.test("Istio's samples load, and what has no effect is named with its line", async (t) => {
  if (!needed(t) || !existsSync(istioSamples)) return
  const files = readdirSync(istioSamples, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.yaml'),
  )
  t.ok(files.length >= 60, String(files.length))
  for (const file of files) {
    const text = readFileSync(`${istioSamples}/${file}`, 'utf8')
    const { problems, refused, unreadableFiles } = load([{ path: file, text }])
    t.same(problems.filter(isError).map(problemLine), [], file)
    t.same([refused, unreadableFiles], [[], []], file)
    const told = problems.filter(({ code }) => code === 'OUT-NOTYET').map(({ line }) => line)
    t.same(told, linesWithoutEffect(text), file)
  }
})

/** Lines of the samples that this proxy does not act on: whole kinds, and fields of routes and policies. */
function linesWithoutEffect(text: string): number[] {
  const kinds =
    /^kind: (Gateway|EnvoyFilter|PeerAuthentication|RequestAuthentication|AuthorizationPolicy|Telemetry|WasmPlugin|WorkloadGroup|ProxyConfig)$/
  const lines: number[] = []
  let start = 0
  let kind = ''
  const all = text.split('\n')
  for (const [index, line] of all.entries()) {
    if (/^---/.test(line)) start = index + 1
    const istioKind = /istio\.io/.test(all.slice(start, index + 3).join('\n'))
    if (/^kind:/.test(line)) kind = line.slice('kind: '.length).trim()
    if (kinds.test(line) && istioKind) lines.push(firstKey(all, start) + 1)
    const field = /^\s+(?:- )?(mode: ISTIO_MUTUAL)/.exec(line)
    const acting =
      ['VirtualService', 'DestinationRule', 'ServiceEntry', 'Service'].includes(kind) &&
      istioKindOf(all, start)
    if (field !== null && acting) lines.push(index + 1)
  }
  return lines.sort((a, b) => a - b)
}

function firstKey(lines: readonly string[], from: number): number {
  return lines.findIndex((line, index) => index >= from && /^\w/.test(line))
}

function istioKindOf(lines: readonly string[], from: number): boolean {
  const first = lines[firstKey(lines, from)] ?? ''
  return /^apiVersion: (networking\.istio\.io\/|v1$)/.test(first)
}
