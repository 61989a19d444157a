import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SystemLookup } from '../../proxy/control/name-lookup.ts'
import { readHosts, readSearch } from '../../proxy/control/system-names.ts'
import { startFakeDns } from './fake-dns.ts'

const nothing = async (): Promise<string[]> => []

t.test('both address families are asked, and the smallest time to live counts', async (t) => {
  await using server = await startFakeDns()
  server.records.set('web.example', [
    { value: '10.0.0.1', ttl: 30 },
    { value: '10.0.0.2', ttl: 20 },
    { value: 'fd00:0:0:0:0:0:0:1', ttl: 40 },
  ])
  const dir = t.testdir({ hosts: '', resolv: '' })
  const lookup = new SystemLookup({
    servers: [server.address],
    hostsFile: join(dir, 'hosts'),
    resolvConf: join(dir, 'resolv'),
    system: nothing,
  })
  t.same(await lookup.resolve('web.example', [4, 6]), {
    kind: 'found',
    addresses: ['10.0.0.1', '10.0.0.2', 'fd00::1'],
    ttlMs: 20_000,
  })
  t.same(await lookup.resolve('web.example', [6]), {
    kind: 'found',
    addresses: ['fd00::1'],
    ttlMs: 40_000,
  })
})

t.test('the time to live of an alias counts', async (t) => {
  await using server = await startFakeDns()
  server.records.set('www.example', [{ value: 'web.example', ttl: 5 }])
  server.records.set('web.example', [{ value: '10.0.0.1', ttl: 300 }])
  const lookup = new SystemLookup({ servers: [server.address], system: nothing })
  t.match(await lookup.resolve('www.example', [4]), { addresses: ['10.0.0.1'], ttlMs: 5_000 })
})

t.test('one family without records does not spoil the other', async (t) => {
  await using server = await startFakeDns()
  server.records.set('four.example', [{ value: '10.0.0.1', ttl: 9 }])
  const lookup = new SystemLookup({ servers: [server.address], system: nothing })
  t.match(await lookup.resolve('four.example', [4, 6]), { kind: 'found', addresses: ['10.0.0.1'] })
})

t.test('no such name and no answer are different things', async (t) => {
  await using server = await startFakeDns()
  server.records.set('ill.example', 'fail')
  const lookup = new SystemLookup({ servers: [server.address], system: nothing })
  t.match(await lookup.resolve('none.example', [4]), { kind: 'none' })
  t.match(await lookup.resolve('ill.example', [4]), { kind: 'failed', error: /ESERVFAIL/ })
})

t.test(
  'the hosts file comes first, for the families it has, and is read again when it changes',
  async (t) => {
    await using server = await startFakeDns()
    server.records.set('web', [{ value: '10.0.0.9', ttl: 9 }])
    const dir = t.testdir({
      hosts: '127.0.0.1 localhost\n10.1.1.1 web web.local # ours\n',
      resolv: '',
    })
    const hostsFile = join(dir, 'hosts')
    const lookup = new SystemLookup({
      servers: [server.address],
      hostsFile,
      resolvConf: join(dir, 'resolv'),
      system: nothing,
    })
    const found = { kind: 'found', addresses: ['10.1.1.1'], ttlMs: undefined }
    t.same(await lookup.resolve('WEB', [4, 6]), found)
    t.match(await lookup.resolve('web', [6]), { kind: 'none' })
    writeFileSync(`${hostsFile}.new`, '10.1.1.2 web\n')
    renameSync(`${hostsFile}.new`, hostsFile)
    t.match(await lookup.resolve('web', [4]), { addresses: ['10.1.1.2'] })
    writeFileSync(hostsFile, '')
    t.match(await lookup.resolve('web', [4]), { addresses: ['10.0.0.9'] })
  },
)

t.test('search domains are tried as resolv.conf says', async (t) => {
  await using server = await startFakeDns()
  server.records.set('web.default.svc.cluster.local', [{ value: '10.0.0.1', ttl: 9 }])
  const dir = t.testdir({
    resolv: 'search default.svc.cluster.local svc.cluster.local\noptions ndots:5\n',
  })
  const lookup = new SystemLookup({
    servers: [server.address],
    resolvConf: join(dir, 'resolv'),
    hostsFile: join(dir, 'none'),
    system: nothing,
  })
  t.match(await lookup.resolve('web', [4]), { addresses: ['10.0.0.1'] })
  t.same(server.asked, ['A web.default.svc.cluster.local'])
  server.asked.length = 0
  t.match(await lookup.resolve('web.', [4]), { kind: 'none' })
  t.same(server.asked, ['A web'])
})

t.test('what name servers do not know is asked of the system last', async (t) => {
  await using server = await startFakeDns()
  const lookup = new SystemLookup({
    servers: [server.address],
    system: async (name) => (name === 'printer.local' ? ['192.168.0.9'] : []),
  })
  t.same(await lookup.resolve('printer.local', [4]), {
    kind: 'found',
    addresses: ['192.168.0.9'],
    ttlMs: undefined,
  })
})

t.test('names below ndots are searched first, the others last', (t) => {
  const search = readSearch(
    'domain old\nsearch a.example b.example. # x\noptions timeout:1 ndots:2\n',
  )
  t.same(search.candidates('web'), ['web.a.example', 'web.b.example', 'web'])
  t.same(search.candidates('x.web.a'), ['x.web.a', 'x.web.a.a.example', 'x.web.a.b.example'])
  t.same(search.candidates('web.'), ['web'])
  t.end()
})

t.test('a hosts file may repeat names, carry comments and nonsense', (t) => {
  const hosts = readHosts('::1 localhost\n127.0.0.1\tlocalhost Me\n# no\nbad line\n127.0.0.1 me\n')
  t.same(hosts.get('localhost'), ['::1', '127.0.0.1'])
  t.same(hosts.get('me'), ['127.0.0.1'])
  t.equal(hosts.size, 2)
  t.end()
})
