import { deepStrictEqual } from 'node:assert'
import t from 'tap'
import { Compiler } from '../../config/compile.ts'
import { Loader, type SourceFile } from '../../config/load.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import { Packer } from '../../proxy/control/packer.ts'
import { KnownAddresses } from '../../proxy/listeners/known-addresses.ts'
import type { SnapshotChange } from '../../proxy/worker/messages.ts'
import { Unpacker } from '../../proxy/worker/unpack.ts'
import { workload } from '../config/compile-support.ts'
import { EditedFolder } from '../config/incremental-support.ts'
import { endpoint, snapshotOf } from './support.ts'

const seed = Number(process.env['OUTRIDER_FUZZ_SEED'] ?? 20_251_121)

/** All of it, as plain objects. */
function plain(snapshot: Snapshot): Snapshot {
  const listeners = snapshot.outbound.listeners.map(({ http, ...listener }) => ({
    ...listener,
    http: http && {
      ...http,
      virtualHosts: http.virtualHosts.map((host) => {
        const { name, domains, routes, skipped, origin } = host
        return { ...bare(host), name, domains, routes, skipped, origin }
      }),
    },
  }))
  return withoutUndefined({
    ...snapshot,
    outbound: { ...snapshot.outbound, listeners },
    clusters: new Map(snapshot.clusters),
    endpointSets: new Map(snapshot.endpointSets),
  }) as Snapshot
}

/** Shared memory knows no undefined fields. */
function withoutUndefined(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (value instanceof Map)
    return new Map([...value].map(([key, one]) => [key, withoutUndefined(one)]))
  const entries = Object.entries(value).filter(([, one]) => one !== undefined)
  return Object.fromEntries(entries.map(([key, one]) => [key, withoutUndefined(one)]))
}

/** Fields that only the original has, which a worker would miss. */
function bare(host: object): object {
  return Object.getPrototypeOf(host) === Object.prototype ? host : {}
}

const posted = (change: SnapshotChange): SnapshotChange => structuredClone(change)

t.test(
  'workers that follow changes, and those that start late, have the whole snapshot',
  async (t) => {
    let small = 0
    for (let folders = 0; folders < 10; folders++) {
      const folder = new EditedFolder(seed + folders)
      const loader = new Loader()
      const compiler = new Compiler(workload())
      const packer = new Packer()
      const follower = new Unpacker()
      let files: SourceFile[] = []
      let version = ''
      for (let edit = 0; edit < 60; edit++) {
        files = folder.read(files)
        const { snapshot } = compiler.compile(loader.load(files).resources)
        const where = `seed ${seed + folders}, edit ${edit}`
        const change = packer.change(snapshot)
        deepStrictEqual(change.base, version, where)
        deepStrictEqual(plain(follower.take(posted(change))), plain(snapshot), where)
        const late = new Unpacker().take(posted(packer.whole()!))
        deepStrictEqual(plain(late), plain(snapshot), where)
        if (change.clusters.set.length === 0) small++
        version = snapshot.version
        folder.edit()
      }
    }
    t.ok(small > 100, `${small} changes named no cluster`)
  },
)

t.test('a worker that was given another snapshot takes a whole one', async (t) => {
  const packer = new Packer()
  const worker = new Unpacker()
  worker.take(posted(new Packer().change(snapshotOf('old', { a: [endpoint('10.0.0.1')] }))))
  packer.change(snapshotOf('new', { b: [endpoint('10.0.0.2')] }))
  const { version, endpointSets } = worker.take(posted(packer.whole()!))
  t.equal(version, 'new')
  t.same([...endpointSets], [['b', [endpoint('10.0.0.2')]]])
})

t.test('a snapshot that was superseded can still be read', async (t) => {
  const packer = new Packer()
  const worker = new Unpacker()
  const sets = (round: number) =>
    Object.fromEntries(names.map((name) => [name, [endpoint(`10.0.0.${round}`)]]))
  const first = worker.take(posted(packer.change(snapshotOf('v0', sets(0)))))
  for (let round = 1; round < 5; round++)
    worker.take(posted(packer.change(snapshotOf(`v${round}`, sets(round)))))
  t.equal(first.endpointSets.get('set-9999')?.[0]?.address, '10.0.0.0')
})

const names = Array.from({ length: 10_000 }, (_, i) => `set-${i}`)

t.test('memory in use follows what is in force, whatever changed before', async (t) => {
  const packer = new Packer()
  const worker = new Unpacker()
  const sets = Object.fromEntries(names.map((name) => [name, [endpoint('10.0.0.1')]]))
  const chunks: number[] = []
  let snapshot = worker.take(posted(packer.change(snapshotOf('v0', sets))))
  for (let round = 1; round <= 100; round++) {
    for (let i = 0; i < 500; i++)
      sets[names[(round * 37 + i * 19) % names.length]!] = [endpoint('10.0.0.1', round)]
    const change = packer.change(snapshotOf(`v${round}`, sets))
    snapshot = worker.take(posted(change))
    chunks.push(change.chunksInUse.length)
  }
  deepStrictEqual(new Map(snapshot.endpointSets), new Map(Object.entries(sets)))
  t.ok(Math.max(...chunks) <= 2 * chunks[0]! + 2, chunks.join(' '))
})

t.test('addresses are known without reading the sets, and no others', async (t) => {
  const packer = new Packer()
  const worker = new Unpacker()
  const known = ({ endpointSets }: Snapshot, ...addresses: string[]) => {
    const among = new KnownAddresses(endpointSets)
    return addresses.map((address) => among.has(address))
  }
  const sets = { a: [endpoint('10.0.0.1'), endpoint('10.0.0.22')], b: [endpoint('fd00::7')] }
  const asked = ['10.0.0.1', '10.0.0.2', '10.0.0.22', 'fd00::7', 'fd00::', 'a']
  const wanted = [true, false, true, true, false, false]
  const first = worker.take(posted(packer.change(snapshotOf('v1', sets))))
  t.same(known(first, ...asked), wanted)
  t.same(known(snapshotOf('v1', sets), ...asked), wanted, 'plain objects say the same')
  first.endpointSets.get('a')
  t.same(known(first, ...asked), wanted, 'also once they are read')
  const gone = worker.take(posted(packer.change(snapshotOf('v2', { b: [endpoint('fd00::7')] }))))
  t.same(known(gone, '10.0.0.1', 'fd00::7'), [false, true])
})

t.test('among ten thousand sets each address is found', async (t) => {
  const packer = new Packer()
  const sets = Object.fromEntries(
    names.map((name, i) => [
      name,
      Array.from({ length: 10 }, (_, at) => endpoint(`10.${i >> 8}.${i & 255}.${at}`)),
    ]),
  )
  const { endpointSets } = new Unpacker().take(posted(packer.change(snapshotOf('v1', sets))))
  const known = new KnownAddresses(endpointSets)
  t.equal(known.has('192.168.0.1'), false)
  t.equal(known.has(`10.${9_999 >> 8}.${9_999 & 255}.9`), true)
})
