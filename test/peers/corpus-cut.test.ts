import t from 'tap'
import { judge, openDoors, whyNot } from '../conformance/corpus.ts'

const skip = whyNot()

for (const cut of ['random', 'bytes'])
  t.test(`the HTTP/1 corpus, cut: ${cut}`, { skip, timeout: 300_000 }, async (t) => {
    const { doors, proxy } = await openDoors(t.testdir())
    t.teardown(() => proxy[Symbol.asyncDispose]())
    const { backendPort, bound, inbound } = doors
    for (const door of [inbound, bound]) {
      const judged = await judge(door, backendPort, ['--host', 'far.example', '--split', cut])
      t.match(judged.output, /responses: 112\/112 pass/)
      // An HTTP/2 preface is handed on as what it is.
      t.strictSame(judged.failed, ['go-readrequest-15'], judged.output)
    }
  })
