import t, { type Test } from 'tap'
import { applyCapture } from '../../iptables/apply.ts'
import { checkCapture } from '../../iptables/check.ts'
import { requireRoot, requireTools } from '../support/netns.ts'
import {
  checkRow,
  delivered,
  fromServer,
  fromServer6,
  type Given,
  incoming,
  inn,
  out,
  outgoing,
  type Row,
  sample,
  within,
} from './matrix.ts'
import { at, Pod } from './pod.ts'

/** Rows 40 to 49: queries go to the DNS port and the answers seem to come from the resolver. */
async function checkDns(t: Test, pod: Pod): Promise<void> {
  const app = await pod.agent('app')
  const { resolver, resolver6 } = at
  const text = async (answer: Promise<{ text: string; error: string | undefined }>) => {
    const { text, error } = await answer
    return text.trimEnd() || error
  }
  const ask = (...args: Parameters<typeof app.udp>) => text(app.udp(...args))
  t.equal(
    await ask(resolver, 53, 'query', { connected: true }),
    `dns from ${resolver} 53`,
    'row 40',
  )
  t.equal(await ask(resolver, 53, 'query'), `dns from ${resolver} 53`, 'row 41')
  t.equal(await ask(resolver6, 53, 'query'), `dns from ${resolver6} 53`, 'row 42')
  t.equal(await text(app.call(resolver, 53)), `dns for ${resolver} 53`, 'row 43')
  t.equal(await text(app.call(resolver6, 53)), `dns for ${resolver6} 53`, 'row 44')
  const direct = `server from ${resolver} 53`
  t.equal(await text((await pod.agent('proxy')).udp(resolver, 53, 'query')), direct, 'row 45')
  const forwarded = `dns via server from ${resolver} 53`
  t.equal(await ask(resolver, 53, `forward ${resolver}`), forwarded, 'row 46')
  t.equal(await ask(at.server, 5353, 'query'), `server from ${at.server} 5353`, 'row 47')
  t.equal(await ask('127.0.0.1', 53, 'query'), 'dns from 127.0.0.1 53', 'row 48')
  t.equal(await text(app.call('127.0.0.1', 53)), 'dns for 127.0.0.1 53', 'row 49')
  for (const [localPort, by, expected] of [
    [40001, 'app', `dns from ${resolver} 53`],
    [40001, 'proxy', direct],
    [40002, 'proxy', direct],
    [40002, 'app', `dns from ${resolver} 53`],
  ] as const)
    t.equal(
      await text((await pod.agent(by)).udp(resolver, 53, 'query', { localPort })),
      expected,
      `the ${by} asks from port ${localPort}, which the other uses too`,
    )
}

for (const backend of ['iptables-nft', 'iptables-legacy'] as const)
  t.test(`${backend}: who is captured, who is not, and where it was going`, async (t) => {
    if (!requireRoot(t) || !requireTools(t, backend, 'setpriv')) return
    using pod = await Pod.open()
    const plan = await pod.plan({ ...sample, backend })
    const applied = await applyCapture(plan, { machine: pod.machine })
    t.match(applied, { outcome: 'applied', backend, warnings: [] })
    for (const row of [...outgoing, ...incoming, ...within]) await checkRow(t, pod, row)
    await checkDns(t, pod)
    t.match(await checkCapture(plan, pod.machine), { inSync: true, differences: [] })

    const servers = [at.server, at.serverVip, at.resolver]
    const app = await pod.agent('app')
    const calls = servers.map((address) => app.call(address, 80, 40100))
    for (const { text } of await Promise.all(calls)) t.match(text, '"server"')
    const seen = (await pod.seen()).map((note) => note.split(':')[0]).sort()
    t.same(seen, servers.map((address) => `out ${address} 80`).sort(), 'row 54: one source port')

    await pod.stopProxy()
    t.match(
      await (await pod.agent('app')).call(at.server, 80),
      { error: 'ECONNREFUSED' },
      'row 56: out',
    )
    t.match(
      await (await pod.agent('client')).call(at.pod, 8080),
      { error: 'ECONNREFUSED' },
      'row 56: in',
    )
  })

t.test('a late change of options takes hold: include lists, sources, resolvers', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'setpriv')) return
  using pod = await Pod.open()
  await applyCapture(await pod.plan(sample), { machine: pod.machine })
  const given: Given = {
    includeInboundPorts: '8080',
    includeOutboundIpRanges: `${at.excluded}/32`,
    includeOutboundPorts: '8443',
    excludeInboundSources: at.node,
    dnsCapture: 'servers',
    dnsServers: at.resolver,
  }
  await applyCapture(await pod.plan(given), { machine: pod.machine })
  const rows: Row[] = [
    {
      row: '53 included port',
      by: 'client',
      to: [at.pod, 8080],
      captured: [inn(at.pod, 8080)],
      answer: delivered,
    },
    { row: '53 other port', by: 'client', to: [at.pod, 8082], answer: { peer: at.client } },
    {
      row: '53 included prefix',
      by: 'app',
      to: [at.excluded, 80],
      captured: [out(at.excluded, 80)],
      answer: fromServer,
    },
    { row: '53 other prefix', by: 'app', to: [at.server, 80], answer: fromServer },
    {
      row: '53 included outbound port',
      by: 'app',
      to: [at.server, 8443],
      captured: [out(at.server, 8443)],
      answer: fromServer,
    },
    {
      row: '18 excluded source',
      by: 'node',
      to: [at.pod, 8080],
      answer: { name: 'app', peer: at.node },
    },
  ]
  for (const row of rows) await checkRow(t, pod, row)
  const app = await pod.agent('app')
  t.match(await app.udp(at.resolver, 53, 'q'), { text: `dns from ${at.resolver} 53` })
  t.match(await app.udp(at.server, 53, 'q'), { text: `server from ${at.server} 53` }, 'not listed')
  t.match(
    await app.udp('127.0.0.1', 53, 'q', { connected: true }),
    { error: 'ECONNREFUSED' },
    'row 48',
  )
})

t.test('what a guest behind a rerouted interface sends counts as outbound', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'setpriv')) return
  using pod = await Pod.open()
  const guest = pod.network.add('guest', { addresses: ['10.77.9.9/16'], defaultRoutes: false })
  pod.pod.must(['sh', '-ec', guestLink(guest.name, pod.pod.name)])
  const given = { ...sample, dnsCapture: 'off', rerouteVirtualInterfaces: 'vm0' }
  await applyCapture(await pod.plan(given), { machine: pod.machine })
  await checkRow(t, pod, {
    row: '51 guest to server',
    by: 'guest',
    to: [at.server, 80],
    captured: [out(at.server, 80)],
    answer: fromServer,
  })
  await checkRow(t, pod, {
    row: '51 guest to server, IPv6',
    by: 'guest',
    to: [at.server6, 80],
    captured: [out(at.server6, 80)],
    answer: fromServer6,
  })
  await checkRow(t, pod, {
    row: '51 excluded port',
    by: 'guest',
    to: [at.server, 9999],
    answer: { name: 'server', peer: '::ffff:192.168.9.2' },
  })
  const spared = { ...sample, dnsCapture: 'off', excludeInterfaces: 'vm0' }
  await applyCapture(await pod.plan(spared), { machine: pod.machine })
  await checkRow(t, pod, {
    row: '52 interface excluded',
    by: 'guest',
    to: [at.server, 80],
    answer: { name: 'server', peer: '::ffff:192.168.9.2' },
  })
})

/** A second interface of the pod, vm0, with the guest behind it; the others know the way back. */
function guestLink(guest: string, pod: string): string {
  const node = pod.replace(/pod$/, 'node')
  const server = pod.replace(/pod$/, 'server')
  return `
ip -n ${node} route add 192.168.9.0/24 via ${at.pod}
ip -n ${server} route add 192.168.9.0/24 via ${at.pod}
ip -n ${server} -6 route add fd79::/64 via ${at.pod6}
ip -n ${guest} link set eth0 down
ip -n ${guest} link add vmtap type veth peer name vm0 netns ${pod}
ip -n ${guest} addr add 192.168.9.2/24 dev vmtap
ip -n ${guest} -6 addr add fd79::2/64 dev vmtap nodad
ip -n ${guest} link set vmtap up
ip -n ${pod} addr add 192.168.9.1/24 dev vm0
ip -n ${pod} -6 addr add fd79::1/64 dev vm0 nodad
ip -n ${pod} link set vm0 up
ip -n ${guest} route add default via 192.168.9.1
ip -n ${guest} -6 route add default via fd79::1
ip netns exec ${pod} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'`
}

t.test('without a default route services are out of reach before any rule sees them', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'setpriv')) return
  using pod = await Pod.open()
  await applyCapture(await pod.plan({}), { machine: pod.machine })
  pod.pod.must(['ip', 'route', 'del', 'default'])
  t.match(await (await pod.agent('app')).call(at.serverVip, 80), { error: 'ENETUNREACH' }, 'row 57')
  t.same(await pod.seen(), [])
})

t.test('link-local addresses are never captured', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'setpriv')) return
  using pod = await Pod.open()
  await applyCapture(await pod.plan({}), { machine: pod.machine })
  const shown = pod.pod.must(['ip', '-6', 'addr', 'show', 'dev', 'eth0', 'scope', 'link'])
  const address = /inet6 (fe80:\S+)\//.exec(shown)?.[1]
  const row = { row: '55 node to link-local', by: 'node', answer: { name: 'app' } } as const
  await checkRow(t, pod, { ...row, to: [`${address}%br0`, 8086] })
})
