import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdirSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { Clock } from '../../proxy/base/clock.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import { AccessLog, accessLogSettings, sameAccessLog } from '../../proxy/telemetry/access-log.ts'
import { ConnectionRecord, ExchangeRecord } from '../../proxy/telemetry/exchange-record.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { LineWriter } from '../../proxy/telemetry/line-writer.ts'

const here = { address: '10.0.0.1', port: 80 }
const wheel = () => new TimerWheel(new Clock())

function writerTo(to: string | number) {
  const instruments = new Instruments(() => undefined)
  const troubles: string[] = []
  const lines = instruments.counter('accessLogLines')
  const dropped = instruments.counter('accessLogDropped')
  const writer = new LineWriter({
    to,
    wheel: wheel(),
    lines,
    dropped,
    onTrouble: (message) => troubles.push(message),
  })
  return { writer, lines, dropped, troubles }
}

t.test('lines reach a new file in a new folder, all of them, in order', async (t) => {
  const file = join(t.testdir(), 'logs', 'deep', 'access.log')
  const { writer, lines } = writerTo(file)
  const all = Array.from({ length: 5_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 90)}\n`)
  for (const line of all) writer.write(line)
  await writer.close()
  t.equal(readFileSync(file, 'utf8'), all.join(''))
  t.equal(lines.value, 5_000)
  t.equal(writer.waitingText, 0)
})

t.test('a file is appended to', async (t) => {
  const file = join(t.testdir({ log: 'before\n' }), 'log')
  const { writer } = writerTo(file)
  writer.write('after\n')
  await writer.close()
  t.equal(readFileSync(file, 'utf8'), 'before\nafter\n')
})

t.test('few lines are written after a short while, without closing', async (t) => {
  const file = join(t.testdir(), 'log')
  const { writer, lines } = writerTo(file)
  writer.write('a line\n')
  t.equal(readFileSync(file, 'utf8'), '')
  while (lines.value === 0) await new Promise<void>((done) => setImmediate(done))
  t.equal(readFileSync(file, 'utf8'), 'a line\n')
  await writer.close()
})

t.test('closing at once writes what is left before it returns', async (t) => {
  const file = join(t.testdir(), 'log')
  const { writer, lines } = writerTo(file)
  writer.write('one\n')
  writer.write('two\n')
  writer.closeNow()
  t.equal(readFileSync(file, 'utf8'), 'one\ntwo\n')
  t.equal(lines.value, 2)
  writer.write('three\n')
  t.equal(readFileSync(file, 'utf8'), 'one\ntwo\n')
})

t.test('a destination that cannot be opened is reported once, and used when it can', async (t) => {
  const dir = t.testdir({ blocker: 'a file where a folder should be' })
  const { writer, troubles, lines } = writerTo(join(dir, 'blocker', 'access.log'))
  writer.write('kept\n')
  t.equal(troubles.length, 1)
  t.match(troubles[0], /access\.log cannot be written \((ENOTDIR|EEXIST)\)/)
  writer.onDeadline()
  t.equal(troubles.length, 1)
  rmSync(join(dir, 'blocker'))
  mkdirSync(join(dir, 'blocker'))
  writer.onDeadline()
  await writer.close()
  t.equal(readFileSync(join(dir, 'blocker', 'access.log'), 'utf8'), 'kept\n')
  t.equal(lines.value, 1)
  t.match(troubles[1], 'can be written again')
})

t.test('a destination that fails is reported once, its lines are counted as dropped', async (t) => {
  const full = openSync('/dev/full', 'w')
  const { writer, troubles, dropped, lines } = writerTo(full)
  for (let i = 0; i < 1_000; i++) writer.write(`a line of some length, number ${i}\n`)
  await writer.close()
  t.equal(troubles.length, 1)
  t.match(troubles[0], 'ENOSPC')
  t.equal(dropped.value, 1_000)
  t.equal(lines.value, 0)
  closeSync(full)
})

t.test('a pipe without a reader is reported, and used when one comes', async (t) => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const { writer, troubles } = writerTo(fifo)
  writer.write('kept\n')
  t.match(troubles, [/ENXIO/])
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  writer.onDeadline()
  const got = Buffer.alloc(100)
  t.equal(got.toString('utf8', 0, readSync(reader, got)), 'kept\n', 'written at once')
  await writer.close()
  closeSync(reader)
})

t.test('lines beyond ASCII stay whole', async (t) => {
  const file = join(t.testdir(), 'log')
  const { writer } = writerTo(file)
  const line = `${'é€😀'.repeat(300)}\n`
  for (let i = 0; i < 200; i++) writer.write(line)
  await writer.close()
  t.equal(readFileSync(file, 'utf8'), line.repeat(200))
})

t.test('a reader that never reads costs bounded memory and blocks nobody', async (t) => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const reader = spawn('sh', ['-c', `exec 3<"${fifo}"; echo ready; exec sleep 60`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { writer, dropped, lines } = writerTo(openSync(fifo, 'a'))
  await once(reader.stdout, 'data')
  const line = `${'x'.repeat(999)}\n`
  for (let i = 0; i < 20_000; i++) writer.write(line)
  t.ok(dropped.value > 10_000)
  t.ok(writer.waitingText < 9 * 1024 * 1024)
  await writer.close(20)
  t.equal(writer.waitingText, 0)
  t.equal(dropped.value + lines.value, 20_000, 'each line is written or dropped')
  reader.kill()
  await once(reader, 'exit')
})

t.test('lines of several threads into one pipe are not torn', async (t) => {
  const dir = t.testdir()
  const out = join(dir, 'out')
  const fifo = join(dir, 'fifo')
  execFileSync('mkfifo', [fifo])
  const holder = openSync(fifo, 'r+')
  const reader = spawn('sh', ['-c', `exec cat "${fifo}" > "${out}"`], { stdio: 'inherit' })
  const root = new URL('../../proxy/', import.meta.url).href
  const source = (name: string) => `
    import { LineWriter } from '${root}telemetry/line-writer.ts'
    import { Instruments } from '${root}telemetry/instruments.ts'
    import { wheel } from '${root}base/timer-wheel.ts'
    const instruments = new Instruments(() => undefined)
    const writer = new LineWriter({ to: ${JSON.stringify(fifo)}, wheel,
      lines: instruments.counter('accessLogLines'), dropped: instruments.counter('accessLogDropped'),
      onTrouble: (message) => { throw new TypeError(message) } })
    for (let i = 0; i < 5000; i++) writer.write('${name} ' + i + ' ' + '${name}'.repeat(i % 400) + ' end\\n')
    await writer.close()`
  const workers = ['a', 'b', 'c'].map(
    (name) => new Worker(new URL(`data:text/javascript,${encodeURIComponent(source(name))}`)),
  )
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  closeSync(holder)
  await once(reader, 'exit')
  const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
  t.equal(lines.length, 15_000)
  const torn = lines.filter((line) => !/^([abc]) \d+ \1* end$/.test(line))
  t.same(torn, [])
})

t.test('exchanges and connections become lines', async (t) => {
  const file = join(t.testdir(), 'log')
  const settings = { to: file, encoding: 'TEXT', format: '%RESPONSE_CODE% %BYTES_SENT%' } as const
  const log = new AccessLog(settings, wheel(), new Instruments(() => undefined), t.fail)
  const exchange = new ExchangeRecord('inbound', 0, 0, here, here)
  exchange.status = 204
  log.exchange(exchange)
  const connection = new ConnectionRecord('inbound', 0, 0, here, here)
  connection.sentBytes = 77
  log.connection(connection)
  await log.close()
  t.equal(readFileSync(file, 'utf8'), '204 0\n0 77\n')
})

t.test('problems of the format are told', async (t) => {
  const file = join(t.testdir(), 'log')
  const told: string[] = []
  const settings = { to: file, encoding: 'JSON', format: '{"a":"%WHAT%"}' } as const
  const log = new AccessLog(settings, wheel(), new Instruments(() => undefined), (m) => {
    told.push(m)
  })
  t.match(told, [/%WHAT%/])
  log.closeNow()
})

t.test('where it goes: the command line wins over the mesh', async (t) => {
  const mesh = {
    accessLogFile: '/dev/stdout',
    accessLogEncoding: 'TEXT',
    accessLogFormat: '',
  } as const
  t.equal(accessLogSettings(mesh, undefined)!.to, 1)
  t.equal(accessLogSettings(mesh, 'stdout')!.to, 1)
  t.equal(accessLogSettings(mesh, '/dev/stderr')!.to, 2)
  t.equal(accessLogSettings(mesh, '/tmp/log')!.to, '/tmp/log')
  t.equal(accessLogSettings(mesh, 'off'), undefined)
  const silent = { ...mesh, accessLogFile: '' }
  t.equal(accessLogSettings(silent, undefined), undefined)
  t.equal(accessLogSettings(silent, 'stdout')!.to, 1)
  t.ok(sameAccessLog(accessLogSettings(mesh, undefined), accessLogSettings(silent, 'stdout')))
  t.notOk(sameAccessLog(accessLogSettings(mesh, undefined), undefined))
})
