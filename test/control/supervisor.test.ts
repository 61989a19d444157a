import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import type { FaultLease } from '../../config/snapshot.ts'
import { StartFailure } from '../../proxy/control/start-failure.ts'
import { endpoint, say, snapshotOf, team } from './support.ts'

t.test('where the kernel chooses the port, all workers listen on the same one', async (t) => {
  await using mesh = team(3)
  const ports = await mesh.supervisor.start()
  t.ok(ports.outbound > 0)
  await mesh.changes.until(() => mesh.supervisor.seats.every(({ state }) => state === 'serving'))
  const seen = new Set<string>()
  while (seen.size < 3) seen.add((await say(ports.outbound, 'hello')).split(' ')[0] ?? '')
  t.same([...seen].sort(), ['0', '1', '2'])
})

t.test('it is settled once every worker has linked the published version', async (t) => {
  await using mesh = team(2)
  const { supervisor } = mesh
  t.match(supervisor.waitingFor, /2 of 2 workers are not listening/)
  await supervisor.start()
  await mesh.changes.until(() => supervisor.seats.every(({ state }) => state === 'serving'))
  t.match(supervisor.waitingFor, /no configuration/)
  supervisor.publish(snapshotOf('v1'))
  t.match(supervisor.waitingFor, /2 of 2 workers have not taken version v1/)
  await mesh.changes.until(() => supervisor.settled)
  t.same(
    supervisor.seats.map((seat) => seat.linked),
    ['v1', 'v1'],
  )
  supervisor.publish(snapshotOf('v2'))
  t.notOk(supervisor.settled)
  await mesh.changes.until(() => supervisor.settled)
})

t.test('a snapshot published before the workers listen reaches them all', async (t) => {
  await using mesh = team(2)
  mesh.supervisor.publish(snapshotOf('early'))
  await mesh.supervisor.start()
  await mesh.changes.until(() => mesh.supervisor.settled)
  t.equal(mesh.supervisor.seats[1]?.linked, 'early')
})

t.test('a worker that dies is replaced with the last snapshot and newest endpoints', async (t) => {
  const gone: number[] = []
  await using mesh = team(1, '', { onGone: (worker) => gone.push(worker) })
  const { supervisor } = mesh
  const { outbound } = await supervisor.start()
  supervisor.publish(snapshotOf('v1', { web: [endpoint('web.example')] }))
  supervisor.updateEndpoints('web', [endpoint('10.0.0.1'), endpoint('10.0.0.2')])
  await mesh.changes.until(() => supervisor.settled)
  t.equal(await say(outbound, 'hello'), '0 v1 web=10.0.0.1+10.0.0.2')
  t.equal(await say(outbound, 'die'), '')
  await mesh.changes.until(() => supervisor.seats[0]?.restarts === 1 && supervisor.settled)
  t.equal(await say(outbound, 'hello'), '0 v1 web=10.0.0.1+10.0.0.2')
  t.same(gone, [0])
  t.equal(mesh.log.count('asked to die'), 1)
})

t.test('faults on purpose reach all workers, and those that come later', async (t) => {
  await using mesh = team(2)
  const { supervisor } = mesh
  const { outbound } = await supervisor.start()
  supervisor.publish(snapshotOf('v1'))
  await mesh.changes.until(() => supervisor.settled)
  const lease = { id: 1, text: 'abort 503 10%' } as FaultLease
  supervisor.setFaults([lease])
  const heard = async () => [...(await supervisor.query('clusters')).values()].flat()
  t.same((await heard()).filter((one) => one === lease.text).length, 2)
  await say(outbound, 'die')
  await mesh.changes.until(
    () => supervisor.settled && supervisor.seats.some(({ restarts }) => restarts === 1),
  )
  t.same((await heard()).filter((one) => one === lease.text).length, 2)
  supervisor.setFaults([])
  t.same((await heard()).filter((one) => one === lease.text).length, 0)
})

t.test('the death of one worker leaves connections of the others alone', async (t) => {
  await using mesh = team(2)
  const { supervisor } = mesh
  const { outbound } = await supervisor.start()
  supervisor.publish(snapshotOf('v1'))
  await mesh.changes.until(() => supervisor.settled)
  const sockets = new Map<string, ReturnType<typeof connect>>()
  while (sockets.size < 2) {
    const socket = connect({ port: outbound, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.write('hello')
    const [answer] = await once(socket, 'data')
    const id = String(answer).split(' ')[0] ?? ''
    if (sockets.has(id)) socket.destroy()
    else sockets.set(id, socket)
  }
  sockets.get('0')?.write('die')
  await mesh.changes.until(() => supervisor.seats[0]?.restarts === 1 && supervisor.settled)
  const survivor = sockets.get('1')
  survivor?.write('again')
  const [answer] = await once(survivor!, 'data')
  t.match(String(answer), /^1 v1/)
  t.equal(supervisor.seats[1]?.restarts, 0)
  for (const socket of sockets.values()) socket.destroy()
})

t.test('a worker that dies again and again is replaced ever later, up to a limit', async (t) => {
  await using mesh = team(1)
  const { supervisor } = mesh
  const { outbound } = await supervisor.start()
  for (let deaths = 1; deaths <= 4; deaths++) {
    await say(outbound, 'die')
    await mesh.changes.until(
      () => supervisor.seats[0]?.restarts === deaths && supervisor.seats[0].state === 'serving',
    )
  }
  t.same(
    mesh.log.lines.map((line) => /starts in (\d+) ms/.exec(line)?.[1]),
    ['1', '2', '4', '4'],
  )
})

t.test('a snapshot that kills its linkers gives way to the last good one', async (t) => {
  await using mesh = team(1, 'die-linking:poison')
  const { supervisor } = mesh
  const { outbound } = await supervisor.start()
  supervisor.publish(snapshotOf('good'))
  await mesh.changes.until(() => supervisor.settled)
  supervisor.publish(snapshotOf('poison'))
  await mesh.changes.until(
    () => supervisor.seats[0]?.restarts === 2 && supervisor.seats[0].linked === 'good',
  )
  t.match(await say(outbound, 'hello'), /^0 good/)
  t.notOk(supervisor.settled, 'the poisoned version never becomes ready')
  t.equal(mesh.log.count('version poison kills the workers'), 1)
  supervisor.publish(snapshotOf('cured'))
  await mesh.changes.until(() => supervisor.settled)
  t.match(await say(outbound, 'hello'), /^0 cured/)
})

t.test('a worker that dies at birth fails the start with its reason', async (t) => {
  await using mesh = team(1, 'die-at-birth')
  await t.rejects(mesh.supervisor.start(), { name: 'StartFailure', message: /born dead/ })
})

t.test('a worker that cannot listen fails the start with what it said', async (t) => {
  await using mesh = team(1, 'cannot-listen')
  await t.rejects(mesh.supervisor.start(), {
    name: 'StartFailure',
    message: 'a worker cannot listen: no such luck',
  })
})

t.test('a port somebody else holds is named with its holder and the cure', async (t) => {
  const holder = createServer().listen({ port: 0, host: '127.0.0.1', reusePort: true })
  await once(holder, 'listening')
  const bound = holder.address()
  const port = typeof bound === 'object' ? (bound?.port ?? 0) : 0
  await using mesh = team(1, '', {}, port)
  const failure = await mesh.supervisor.start().then(
    () => undefined,
    (error: unknown) => error,
  )
  holder.close()
  t.ok(failure instanceof StartFailure)
  const { message } = failure as StartFailure
  t.match(message, `cannot listen on the outbound port ${port} on 127.0.0.1`)
  t.match(message, `process ${process.pid} (`)
  t.match(message, '--outbound-port')
})

t.test('queries gather the answers of all workers and skip the silent', async (t) => {
  await using mesh = team(2)
  await mesh.supervisor.start()
  await mesh.changes.until(() => mesh.supervisor.seats.every(({ state }) => state === 'serving'))
  const stats = await mesh.supervisor.query('stats')
  t.same([...stats.keys()], [0, 1])
  t.match(stats.get(1), { worker: 1 })
  await using silent = team(1, 'mute')
  await silent.supervisor.start()
  t.equal((await silent.supervisor.query('stats', 20)).size, 0)
})

t.test('a drain waits for what is open and says what was finished and cut', async (t) => {
  await using mesh = team(2)
  const { outbound } = await mesh.supervisor.start()
  await mesh.changes.until(() => mesh.supervisor.seats.every(({ state }) => state === 'serving'))
  const socket = connect({ port: outbound, host: '127.0.0.1' })
  socket.write('hello')
  await once(socket, 'data')
  const drained = mesh.supervisor.drain('all', 60_000)
  socket.end()
  t.same(await drained, { finished: 2, cut: 0 })
  await using stubborn = team(1)
  const held = connect({ port: (await stubborn.supervisor.start()).outbound, host: '127.0.0.1' })
  held.on('error', () => undefined)
  held.write('hello')
  await once(held, 'data')
  t.same(await stubborn.supervisor.drain('all', 1), { finished: 0, cut: 1 })
  held.destroy()
})
