import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  cleanFileMappings,
  loadCLibrary,
  RestWatch,
  releaseMemory,
} from '../../proxy/control/resting-memory.ts'

const block = (head: string, dirty: number, anonymous: number) =>
  `${head}\nSize:               4 kB\nRss:                4 kB\nPrivate_Dirty:      ${dirty} kB\nAnonymous:      ${anonymous} kB\nVmFlags: rd ex mr\n`

t.test('only clean file mappings that nobody may write are given up', async (t) => {
  const smaps = [
    block('00400000-0082e000 r--p 00000000 fe:00 1573 /usr/bin/node', 0, 0),
    block('0082e000-03489000 r-xp 0042e000 fe:00 1573 /usr/bin/node', 0, 0),
    block('03489000-03490000 r--p 03089000 fe:00 1573 /usr/bin/relocated', 4, 4),
    block('072a7000-072ac000 rw-p 06ea7000 fe:00 1573 /usr/bin/node', 0, 0),
    block('12156000-27371000 rw-p 00000000 00:00 0                          [heap]', 8, 8),
    block('7f0000000000-7f0000001000 r-xp 00000000 00:00 0                  [vdso]', 0, 0),
    block('7f0000002000-7f0000003000 r-xp 00000000 00:00 0 ', 0, 0),
    block('7f0000004000-7f0000005000 r--s 00000000 fe:00 99 /dev/shared', 0, 0),
    '7f0000006000-7f0000007000 r-xp 00000000 fe:00 99 /sizes/untold\n',
  ].join('')
  t.same(cleanFileMappings(smaps), [
    { start: 0x400000, end: 0x82e000 },
    { start: 0x82e000, end: 0x3489000 },
  ])
})

const library = loadCLibrary()
const skip = library === undefined ? 'no C library to call on this system' : false

t.test('the process goes on, with less memory', { skip }, async (t) => {
  const resident = () =>
    Number(/^Rss: +(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1])
  const before = resident()
  releaseMemory(library!)
  const after = resident()
  t.ok(before - after > 10_000, `${before} kB to ${after} kB`)
  t.equal([...'it still runs'].sort().join(''), '  iillnrssttu')
})

t.test('memory is given back once each time that work ends', async (t) => {
  let used = 0
  let released = 0
  const watch = new RestWatch({
    lookEveryMs: 1_000,
    leastBetween: 6,
    cpu: () => used,
    release: () => released++,
  })
  t.teardown(() => watch.stop())
  const after = (ms: number) => {
    used += ms * 1000
    watch.look()
    return released
  }
  t.same([after(500), after(300)], [0, 0], 'busy')
  t.same([after(5), after(5), after(50), after(5)], [0, 1, 1, 1], 'at rest, which takes a moment')
  t.same([after(21), after(900), after(0)], [1, 1, 1], 'busy again; at first too soon after')
  t.same([after(0), after(0), after(0), after(0)], [2, 2, 2, 2], 'at rest long enough')
})
