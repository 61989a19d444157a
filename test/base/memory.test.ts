import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { boundHeaps, shrinkHeap, sweepHeap } from '../../proxy/base/memory.ts'

interface Room {
  readonly length: number
}

/** About 10 MB of small objects. */
function garbage(): Room[] {
  return Array.from({ length: 200_000 }, (_, length) => ({ length }))
}

boundHeaps()
const kept: { garbage: Room[] | undefined } = { garbage: garbage() }

t.test('what is no longer needed is given back', async (t) => {
  const before = process.memoryUsage()
  t.equal(kept.garbage?.length, 200_000)
  kept.garbage = undefined
  shrinkHeap()
  const after = process.memoryUsage()
  t.ok(before.heapUsed - after.heapUsed > 4_000_000, `${before.heapUsed} to ${after.heapUsed}`)
  t.ok(after.heapTotal < before.heapTotal, `${before.heapTotal} to ${after.heapTotal}`)
})

t.test('a large heap is swept once it holds a third more than it needs', async (t) => {
  const held = Array.from({ length: 10 }, garbage)
  sweepHeap()
  const needed = process.memoryUsage().heapTotal
  t.ok(needed > 64 << 20, 'it is large')
  sweepHeap()
  held.length = 4
  held.push(...Array.from({ length: 10 }, garbage))
  held.length = 10
  t.ok(process.memoryUsage().heapTotal > needed * 1.33)
  sweepHeap()
  const after = process.memoryUsage().heapTotal
  t.ok(after < needed * 1.1, `${needed} to ${after}`)
  t.equal(held.length, 10)
})

t.test(
  'threads that start afterwards have small young generations and sweep by themselves',
  async (t) => {
    const program = `
    const { parentPort } = require('node:worker_threads')
    const v8 = require('node:v8')
    let most = 0
    for (let i = 0; i < 60; i++) {
      globalThis.some = Array.from({ length: 50_000 }, (_, n) => ({ n }))
      const young = v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
      most = Math.max(most, young.space_size)
    }
    parentPort.postMessage({ most, sweeps: typeof globalThis.gc })
  `
    const worker = new Worker(program, { eval: true })
    const [{ most, sweeps }] = (await once(worker, 'message')) as [{ most: number; sweeps: string }]
    t.equal(sweeps, 'function')
    t.ok(most <= 3 * 8 * 1024 * 1024, `the young generation took ${most} bytes`)
  },
)
