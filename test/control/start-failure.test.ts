import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { mustBeFree } from '../../proxy/control/port-check.ts'
import { findPortOwner, someoneListens } from '../../proxy/control/port-owner.ts'
import { listenFailure } from '../../proxy/control/start-failure.ts'

const use = { what: 'outbound', option: '--outbound-port' }

function said(code: string): string {
  return listenFailure(Object.assign(new RangeError('system text'), { code }), use, '10.0.0.1', 80)
    .message
}

t.test('every reason not to listen comes with its cure', (t) => {
  t.match(
    said('EACCES'),
    /outbound port 80 on 10\.0\.0\.1: ports below 1024 need root .*--outbound-port/,
  )
  t.match(said('EADDRNOTAVAIL'), /no interface of this machine/)
  t.match(said('EAFNOSUPPORT'), /IPv6 is switched off/)
  t.match(said('EMFILE'), /system text/)
  t.end()
})

t.test('the process that listens on a port is found by name', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  const port = typeof bound === 'object' ? (bound?.port ?? 0) : 0
  t.match(findPortOwner(port), { pid: process.pid, command: /node/ })
  await t.rejects(mustBeFree(use, { address: '127.0.0.1', port }), { name: 'StartFailure' })
  t.ok(someoneListens([1, port]))
  t.notOk(someoneListens([]))
  server.close()
  await once(server, 'close')
  t.equal(findPortOwner(port), undefined)
  t.notOk(someoneListens([port]))
  await t.resolves(mustBeFree(use, { address: '127.0.0.1', port }))
  await t.resolves(mustBeFree(use, { address: '127.0.0.1', port: 0 }))
})
