import t from 'tap'
import type { Problem } from '../../config/resource.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import { type Compiled, Publisher, type ReadResult } from '../../proxy/control/publisher.ts'
import { HeardLog, snapshotOf } from './support.ts'

function problem(message: string, more: Partial<Problem> = {}): Problem {
  return {
    severity: 'error',
    code: 'OUT-TEST',
    file: 'a.yaml',
    line: 3,
    column: 5,
    message,
    hint: 'Do this.',
    object: 'Service default/a',
    ...more,
  }
}

function compiled(version: string, problems: Problem[] = []): Compiled {
  return { snapshot: snapshotOf(version), problems, quarantined: [], files: 1 }
}

function publisherOf(read: () => Compiled | Promise<Compiled>) {
  const log = new HeardLog()
  const delivered: string[] = []
  const results: ReadResult[] = []
  const deliver = (snapshot: Snapshot): void => void delivered.push(snapshot.version)
  const onRead = (result: ReadResult): void => void results.push(result)
  return { log, delivered, results, publisher: new Publisher({ read, deliver, log, onRead }) }
}

t.test('a new version is delivered, the same version is not', async (t) => {
  let version = 'v1'
  const { publisher, delivered, results } = publisherOf(() => compiled(version))
  await publisher.start()
  await publisher.reload()
  version = 'v2'
  await publisher.reload()
  t.same(delivered, ['v1', 'v2'])
  t.same(results, ['published', 'unchanged', 'published'])
  t.match(publisher.status, { generation: 2, snapshot: { version: 'v2' }, failure: '' })
})

t.test('each problem is told once with its place, although its line moves', async (t) => {
  let problems = [problem('weights are negative')]
  const { publisher, log } = publisherOf(() => compiled('v1', problems))
  await publisher.start()
  problems = [problem('weights are negative', { line: 9 }), problem('unknown field "x"')]
  await publisher.reload()
  await publisher.reload()
  t.same(
    log.lines.filter((line) => line.startsWith('error')),
    [
      'error a.yaml:3:5: error: Service default/a: weights are negative (OUT-TEST) Do this.',
      'error a.yaml:3:5: error: Service default/a: unknown field "x" (OUT-TEST) Do this.',
    ],
  )
  problems = []
  await publisher.reload()
  t.equal(log.count('2 problems are solved, 0 remain'), 1)
  problems = [problem('weights are negative')]
  await publisher.reload()
  t.equal(log.count('weights are negative'), 2, 'a problem that comes back is told again')
})

t.test('hundreds of problems are counted, not all told', async (t) => {
  const many = Array.from({ length: 120 }, (_, i) => problem(`problem ${i}`))
  const { publisher, log } = publisherOf(() => compiled('v1', many))
  await publisher.start()
  t.equal(log.count('error problem') + log.count('OUT-TEST'), 50)
  t.equal(log.count('and 70 more problems'), 1)
  t.equal(publisher.status.problems.length, 120)
})

t.test('a reading that fails keeps what runs and is told once', async (t) => {
  let broken = false
  const { publisher, delivered, results, log } = publisherOf(() => {
    if (broken) throw new RangeError('the folder is gone')
    return compiled('v1')
  })
  await publisher.start()
  broken = true
  await publisher.reload()
  await publisher.reload()
  t.same(delivered, ['v1'])
  t.same(results, ['published', 'failed', 'failed'])
  t.equal(log.count('version v1 stays in force: the folder is gone'), 1)
  t.equal(publisher.status.failure, 'the folder is gone')
  broken = false
  await publisher.reload()
  t.equal(publisher.status.failure, '')
})

t.test('the first reading rejects when the files cannot be read', async (t) => {
  const { publisher } = publisherOf(() => {
    throw new RangeError('no such folder')
  })
  await t.rejects(publisher.start(), { message: 'no such folder' })
})

t.test('changes during a reading lead to exactly one more reading', async (t) => {
  let reads = 0
  const gate: Array<() => void> = []
  const { publisher } = publisherOf(async () => {
    reads++
    await new Promise<void>((open) => gate.push(open))
    return compiled(`v${reads}`)
  })
  const first = publisher.reload()
  const others = [publisher.reload(), publisher.reload(), publisher.reload()]
  gate.shift()?.()
  while (gate.length === 0) await new Promise(setImmediate)
  gate.shift()?.()
  await Promise.all([first, ...others])
  t.equal(reads, 2)
  t.equal(publisher.status.snapshot?.version, 'v2')
})
