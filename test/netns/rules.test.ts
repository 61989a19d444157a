import t from 'tap'
import { applyCapture } from '../../iptables/apply.ts'
import { checkCapture } from '../../iptables/check.ts'
import { undoCapture } from '../../iptables/undo.ts'
import { requireRoot, requireTools } from '../support/netns.ts'
import { checkRow, fromServer, out } from './matrix.ts'
import { at, Pod } from './pod.ts'

const backends = ['iptables-nft', 'iptables-legacy'] as const

for (const backend of backends)
  t.test(
    `${backend}: applied again and again under load, not one connection escapes`,
    async (t) => {
      if (!requireRoot(t) || !requireTools(t, backend, 'setpriv')) return
      using pod = await Pod.open()
      const { machine } = pod
      const plans = await Promise.all(
        ['7001', '7002'].map((port) => pod.plan({ excludeOutboundPorts: port, backend })),
      )
      await applyCapture(plans[1]!, { machine })
      const app = await pod.agent('app')
      const client = await pod.agent('client')
      // nobody has this address: only the proxy can answer for it
      await app.order({ do: 'hammer', address: at.serverVip, port: 80, wanted: '"server"' })
      await client.order({ do: 'hammer', address: at.pod, port: 8080, wanted: '127.0.0.6' })
      for (let round = 0; round < 12; round++) {
        const { outcome } = await applyCapture(plans[round % 2]!, { machine })
        if (outcome !== 'applied') t.fail('the rules were not written anew')
      }
      const [outbound, inbound] = [await app.stopHammer(), await client.stopHammer()]
      t.same([outbound.escaped, inbound.escaped], [0, 0])
      t.ok(
        outbound.calls > 100 && inbound.calls > 100,
        `${outbound.calls} and ${inbound.calls} calls`,
      )

      await app.order({ do: 'hammer', address: at.serverVip, port: 80, wanted: '"server"' })
      await undoCapture({ machine })
      const call = await app.call(at.serverVip, 80)
      t.equal(call.error, 'ECONNREFUSED', 'once undone, the same calls escape')
      const after = await app.stopHammer()
      t.ok(after.escaped > 0, 'and the hammer notices')
    },
  )

for (const backend of backends)
  t.test(`${backend}: undo detaches first, then leaves no trace`, async (t) => {
    if (!requireRoot(t) || !requireTools(t, backend, 'setpriv')) return
    using pod = await Pod.open()
    const { machine } = pod
    const foreign = ['-t', 'nat', '-A', 'OUTPUT', '-d', '10.99.0.1', '-j', 'RETURN']
    pod.pod.must([backend, ...foreign])
    pod.pod.must([backend, '-t', 'nat', '-N', 'THEIRS'])
    const before = pod.rules()
    await applyCapture(await pod.plan({ dnsCapture: 'all', dropInvalid: 'true', backend }), {
      machine,
    })
    const app = await pod.agent('app')
    t.match(await app.order({ do: 'hold', address: at.serverVip, port: 80 }), { connected: true })

    t.match(await undoCapture({ machine, detachOnly: true }), { removed: [backend], problems: [] })
    t.match(await app.order({ do: 'echo', text: 'still?' }), { text: /server/ }, 'captured before')
    t.same(await pod.seen(), [out(at.serverVip, 80)])
    await checkRow(t, pod, { row: 'new one', by: 'app', to: [at.server, 80], answer: fromServer })

    t.match(await undoCapture({ machine }), { removed: [backend], problems: [] })
    t.equal(pod.rules(), before, "others' rules stand")
    t.notMatch(pod.pod.must(['ip', '-6', 'addr', 'show', 'dev', 'lo']), ' ::6/')
    t.match(await undoCapture({ machine }), { removed: [], problems: [] }, 'undo of nothing')
  })

/** What somebody does to the rules, and what the check then says. */
const tampering: [string, RegExp][] = [
  ['iptables-nft -t nat -D OUTPUT -j OUTRIDER_OUTPUT', /ipv4 nat: jump 'OUTPUT .*' is missing/],
  ['iptables-nft -t nat -A OUTPUT -j OUTRIDER_OUTPUT', /jump 'OUTPUT .*' stands 2 times/],
  ['iptables-nft -t nat -I PREROUTING -p udp -j OUTRIDER_INBOUND', /jump .*-p udp.* is stale/],
  ['iptables-nft -t nat -F OUTRIDER_OUT_REDIRECT', /OUTRIDER_OUT_REDIRECT has 0 rules, not 1/],
  ['ip6tables-nft -t nat -A OUTRIDER_OUTPUT -j RETURN', /ipv6 nat: chain OUTRIDER_OUTPUT has 6/],
  ['iptables-nft -t nat -N OUTRIDER_OLD', /chain OUTRIDER_OLD is stale/],
  ['iptables-nft -t mangle -N OUTRIDER_OLD', /mangle: chain OUTRIDER_OLD is stale/],
  ['ip6tables-nft -t nat -F OUTPUT; ip6tables-nft -t nat -F PREROUTING', /ipv6 nat: jump/],
  ['iptables-nft -t nat -F; iptables-nft -t nat -X', /ipv4 has no capture rules/],
  ['iptables-legacy -t nat -N OUTRIDER_OUTPUT', /in iptables-legacy as well as in iptables-nft/],
  ['ip -6 addr del ::6/128 dev lo', /ipv6 address ::6\/128 is missing on lo/],
]

t.test('check sees every tampering, and apply mends it', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'iptables-legacy', 'setpriv')) return
  using pod = await Pod.open({ programs: false })
  const { machine } = pod
  const plan = await pod.plan({ backend: 'iptables-nft' })
  await applyCapture(plan, { machine })
  for (const [command, difference] of tampering) {
    pod.pod.must(['sh', '-ec', command])
    const { inSync, differences } = await checkCapture(plan, machine)
    t.notOk(inSync, command)
    t.match(differences.join('; '), difference)
    t.match(await applyCapture(plan, { machine }), { outcome: 'applied' })
    t.match(await checkCapture(plan, machine), { inSync: true, differences: [] }, 'mended')
  }
  const other = await checkCapture(await pod.plan({ proxyUids: '1338' }), machine)
  t.match(other.differences, [/ipv4 rules are of other options \([0-9a-f]{16}, not/, /ipv6/])
  t.match(await applyCapture(plan, { machine }), { outcome: 'in-sync' })
})

t.test('rules follow a change of backend, and stay in one of them', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'iptables-legacy', 'setpriv')) return
  using pod = await Pod.open({ programs: false })
  const { machine } = pod
  await applyCapture(await pod.plan({ backend: 'iptables-legacy' }), { machine })
  const auto = await pod.plan({})
  t.match(await applyCapture(auto, { machine }), { outcome: 'in-sync', backend: 'iptables-legacy' })
  const nft = await pod.plan({ backend: 'iptables-nft' })
  t.match(await applyCapture(nft, { machine }), { outcome: 'applied', backend: 'iptables-nft' })
  t.notMatch(pod.pod.must(['iptables-legacy-save']), 'OUTRIDER')
  t.match(await applyCapture(auto, { machine }), { outcome: 'in-sync', backend: 'iptables-nft' })
})

t.test('legacy rules of others make legacy the backend', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'iptables-legacy', 'setpriv')) return
  using pod = await Pod.open({ programs: false })
  pod.pod.must(['iptables-legacy', '-A', 'INPUT', '-s', '10.99.0.1', '-j', 'ACCEPT'])
  const { machine } = pod
  t.match(await applyCapture(await pod.plan({}), { machine }), { backend: 'iptables-legacy' })
})

t.test('without IPv6 only IPv4 is captured, and nothing is wrong with that', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft')) return
  using pod = await Pod.open({ programs: false })
  pod.pod.must(['sh', '-ec', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'])
  const { machine } = pod
  const plan = await pod.plan({})
  t.match(await applyCapture(plan, { machine }), { outcome: 'applied', warnings: [] })
  t.notMatch(pod.pod.must(['ip6tables-nft-save']), 'OUTRIDER')
  const insisted = await applyCapture(await pod.plan({ ipv6: 'on' }), { machine })
  t.match(insisted.warnings, [/::6\/128 could not be added to lo, .*IPv6 is disabled/])
})
