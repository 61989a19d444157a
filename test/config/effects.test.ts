/** A field that the docs say takes effect must at least change what the proxy is told to do. */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { type Document, isCollection, isMap, isScalar, parseAllDocuments, type YAMLMap } from 'yaml'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import { takesEffect as claims, documentedKinds, fieldRows } from '../docs/fields.ts'
import { workload } from './compile-support.ts'

/** What cannot stand in one mesh stands in several: each file is one. */
const meshes = globSync(`${import.meta.dirname}/effects/*.yaml`)
  .sort()
  .map((file) => parseAllDocuments(readFileSync(file, 'utf8')) as Document[])

/** One that the Sidecar selects, and one that it does not. */
const workloads = [workload(), workload({ labels: { app: 'other' }, addresses: ['10.1.0.7'] })]

type Path = ReadonlyArray<string | number>

interface Written {
  readonly mesh: Document[]
  readonly document: Document
  readonly path: Path
}

interface Compiled {
  /** The snapshot without versions and lines. */
  readonly meaning: string
  readonly refused: readonly string[]
}

function compiled(mesh: Document[], changed?: Document, to?: Document): Compiled {
  const texts = mesh.map((document) => String(document === changed ? to : document))
  const loaded = load([{ path: 'mesh.yaml', text: texts.join('---\n') }])
  const snapshots = workloads.map((one) => compile(loaded.resources, one).snapshot)
  const meaning = JSON.stringify(snapshots, (key, value: unknown) => {
    if (key === 'version' || key === 'line') return undefined
    if (key === 'hash' && typeof value === 'string') return undefined
    return value instanceof Map ? [...value] : value
  })
  return { meaning, refused: loaded.refused }
}

/** `http[].match[].uri`, or the path below a map whose names are free. */
function generic(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? '[]' : `.${part}`))
    .join('')
    .replace(/^\./, '')
}

/** Every place of a document that holds a value: single ones, and lists and maps as a whole. */
function places(document: Document): Path[] {
  const found: Path[] = []
  const walk = (node: unknown, path: Path): void => {
    if (path.length > 0) found.push(path)
    if (!isCollection(node)) return
    for (const [index, item] of node.items.entries()) {
      const pair = item as { key?: { value: string }; value?: unknown }
      if (pair.key === undefined) walk(item, [...path, index])
      else walk(pair.value, [...path, pair.key.value])
    }
  }
  walk(document.contents, [])
  return found
}

/** Other values that are possible where this one is. */
function alternatives(value: unknown): readonly unknown[] {
  if (typeof value === 'boolean') return [!value]
  if (typeof value === 'number') return [value + 1]
  if (typeof value !== 'string') return []
  const known = others[value]
  if (known !== undefined) return known
  return [value.replace(/\d+(?=[a-z]*$)/, (digits) => String(Number(digits) + 1)), `${value}x`]
}

/** Words of an enumeration, and names that must exist. */
const others: Readonly<Record<string, readonly unknown[]>> = {
  TCP: ['UDP', 'HTTP'],
  HTTP: ['TCP'],
  TLS: ['TCP'],
  STATIC: ['DNS'],
  IPv4: ['FQDN'],
  MESH_EXTERNAL: ['MESH_INTERNAL'],
  Running: ['Failed'],
  LOCALHOST: ['PASSTHROUGH'],
  SIMPLE: ['DISABLE'],
  MUTUAL: ['SIMPLE', 'OPTIONAL_MUTUAL'],
  NONE: ['IPTABLES'],
  HTTPS: ['TLS'],
  TLSV1_2: ['TLSV1_1'],
  TLSV1_3: ['TLSV1_2'],
  CONNECT: ['POST'],
  ALLOW_ANY: ['REGISTRY_ONLY'],
  REGISTRY_ONLY: ['ALLOW_ANY'],
  ExternalName: ['ClusterIP'],
  True: ['False'],
  False: ['True'],
  Pod: ['Node'],
  mesh: ['default/other'],
  '.': ['~', 'other'],
  '*': ['.'],
}

/** Shares must go on adding up. */
function swapFirstTwo(document: Document, path: Path): void {
  const [first, second] = (document.getIn(path) as YAMLMap<unknown, unknown>).items
  if (first === undefined || second === undefined) return
  const { value } = first
  first.value = second.value
  second.value = value
}

/** True when some other value, or none, is accepted and means something else. */
function takesEffect({ mesh, document, path }: Written): boolean {
  const before = befores.get(mesh)!
  const value = document.getIn(path, true)
  const changes: Array<(changed: Document) => void> = [(changed) => changed.deleteIn(path)]
  if (isScalar(value))
    for (const other of alternatives(value.value))
      changes.push((changed) => changed.setIn(path, other))
  const shares = document.getIn(path.slice(0, -1), true)
  if (isMap(shares)) changes.push((changed) => swapFirstTwo(changed, path.slice(0, -1)))
  return changes.some((change) => {
    const changed = document.clone() as Document
    change(changed)
    const after = compiled(mesh, document, changed)
    return after.refused.length === before.refused.length && after.meaning !== before.meaning
  })
}

const befores = new Map(meshes.map((mesh) => [mesh, compiled(mesh)]))

t.test('the meshes that hold every field are accepted', async (t) => {
  for (const { refused } of befores.values()) t.same(refused, [])
})

for (const [kind, type] of documentedKinds()) {
  const rows = fieldRows(kind, type).filter(({ effect }) => claims(effect))
  if (rows.length === 0) continue
  t.test(`${kind}: each field that takes effect changes the snapshot`, async (t) => {
    const own = meshes.flatMap((mesh) =>
      mesh
        .filter((document) => document.get('kind') === kind)
        .map((document) => ({ mesh, document })),
    )
    const root = own.some(({ document }) => document.has('spec')) && kind !== 'Pod' ? ['spec'] : []
    for (const { path } of rows) {
      const wanted = new RegExp(
        `^${RegExp.escape([...root, path].join('.'))
          .replaceAll('<name>', '[^.]+')
          .replaceAll('\\.\\[\\]', '\\[\\]')
          .replaceAll(RegExp.escape('<name>'), '.+')}$`,
      )
      const there = own.flatMap(({ mesh, document }) =>
        places(document)
          .filter((place) => wanted.test(generic(place)))
          .map((place) => ({ mesh, document, path: place })),
      )
      t.ok(there.length > 0, `${path} is written below effects/`)
      t.ok(there.some(takesEffect), `${path} changes the snapshot`)
    }
  })
}
