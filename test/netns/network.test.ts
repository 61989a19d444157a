import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t from 'tap'
import { removeLeftovers } from '../../iptables/netns.ts'
import { type Namespace, openNetwork, requireRoot, requireTools } from '../support/netns.ts'

const node = process.execPath

/** A program that accepts one connection, writes the peer's address and ends. */
const greet = `
require('net').createServer(s => { s.end(s.remoteAddress); }).listen(80, '::', () => console.log('ready'))`

async function serve(workload: Namespace, as: { uid: number; gid: number }): Promise<void> {
  const child = workload.spawn([node, '-e', greet], { as, stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
}

const ask = (host: string) => `
require('net').connect(80, '${host}').on('data', d => console.log(String(d))).on('error', e => console.log(e.code))`

t.test('workloads reach each other over both families, as the user asked for', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'setpriv')) return
  using network = openNetwork()
  const web = network.add('web', { addresses: ['10.77.0.11/16', 'fd77::11/64'] })
  const client = network.add('client', {
    addresses: ['10.77.0.12/16', 'fd77::12/64'],
    hosts: '10.77.0.11 web.test\n',
    resolv: 'nameserver 10.77.0.53\n',
  })
  await serve(web, { uid: 1000, gid: 1000 })
  t.equal(client.must([node, '-e', ask('10.77.0.11')]), '::ffff:10.77.0.12\n')
  t.equal(client.must([node, '-e', ask('fd77::11')]), 'fd77::12\n')
  t.equal(client.must([node, '-e', ask('web.test')]), '::ffff:10.77.0.12\n', 'its own hosts file')
  t.equal(client.must(['cat', '/etc/resolv.conf']), 'nameserver 10.77.0.53\n')
  const as = { uid: 1000, gid: 1337, groups: [7, 8] }
  t.equal(client.must(['sh', '-c', 'id -u; id -g; id -G'], { as }), '1000\n1337\n1337 7 8\n')
  t.match(client.must(['ip', 'route', 'get', '10.96.0.10']), /via 10\.77\.0\.1 dev eth0/)
  t.match(client.must(['ip', 'route', 'get', 'fd96::10']), /via fd77::1 dev eth0/)
  t.match(client.must([node, '-e', ask('10.96.0.10')]), /E(NET|HOST)UNREACH/, 'no such service')
})

t.test('disposing ends the programs and removes every trace', async (t) => {
  if (!requireRoot(t)) return
  const network = openNetwork()
  const web = network.add('web', { addresses: ['10.77.0.11/16'], hosts: '' })
  const child = web.spawn(['sleep', '1000'])
  const ended = once(child, 'exit')
  network[Symbol.dispose]()
  t.same(await ended, [null, 'SIGKILL'])
  t.notOk(existsSync(`/run/netns/${web.name}`))
  t.notOk(existsSync(`/etc/netns/${web.name}`))
  t.not(web.run(['true']).status, 0, 'the namespace is gone')
})

t.test('what a killed run left behind is removed, a live run is left alone', async (t) => {
  if (!requireRoot(t)) return
  const script = `
import { Network } from '${new URL('../../iptables/netns.ts', import.meta.url)}'
const network = Network.open({ prefix: 'outrider-leftover' })
network.add('a', { addresses: ['10.77.0.11/16'], hosts: '' }).spawn(['sleep', '1000'])
console.log(network.node.name)
setInterval(() => {}, 1000)`
  const { spawn } = await import('node:child_process')
  const child = spawn(node, ['--input-type=module', '-e', script])
  const [line] = await once(child.stdout, 'data')
  const name = String(line).trim()
  removeLeftovers('outrider-leftover')
  t.ok(existsSync(`/run/netns/${name}`), 'while it lives')
  child.kill('SIGKILL')
  await once(child, 'exit')
  removeLeftovers('outrider-leftover')
  t.notOk(existsSync(`/run/netns/${name}`), 'once it is dead')
  t.notOk(existsSync(`/etc/netns/${name.replace(/node$/, 'a')}`))
})
