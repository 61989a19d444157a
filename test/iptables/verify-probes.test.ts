import t from 'tap'
import { readCaptureOptions } from '../../iptables/option-texts.ts'
import type { OptionName } from '../../iptables/options.ts'
import { planCapture } from '../../iptables/plan.ts'
import { probesFor } from '../../iptables/verify-probes.ts'

function probes(given: Partial<Record<OptionName, string>>) {
  const texts = Object.entries(given).map(([name, text]) => [name, { text, source: name }])
  const { options } = readCaptureOptions(Object.fromEntries(texts))
  const plan = planCapture(options, { ipv6: false, dnsServers: [] })
  const { probes, notes } = probesFor(plan, { ipv4: '10.0.0.7' })
  return { notes, claims: probes.map(([who, list]) => [who, list.map(({ what }) => what)]) }
}

t.test(
  'by default the application is captured, the proxy by user or by group is not',
  async (t) => {
    const asProxy = [
      'proxy to 192.0.2.1:15100 goes direct',
      'proxy calling its own workload to 10.0.0.7:15100 reaches the inbound listener',
    ]
    t.same(probes({}).claims, [
      [
        { uid: 65534, gid: 65534 },
        ['application to 192.0.2.1:15100 reaches the outbound listener'],
      ],
      [{ uid: 1337, gid: 65534 }, asProxy],
      [{ uid: 65534, gid: 1337 }, asProxy],
    ])
  },
)

t.test('probes keep to what is captured', async (t) => {
  const { claims } = probes({
    excludeOutboundUids: '65534',
    excludeOutboundIpRanges: '192.0.2.0/24',
    excludeOutboundPorts: '15100-15110',
    includeInboundPorts: '15020,8080',
  })
  t.same(claims[0], [
    { uid: 65533, gid: 65534 },
    ['application to 198.51.100.1:15111 reaches the outbound listener'],
  ])
  t.match(claims[1]?.[1], [/direct/, /10\.0\.0\.7:8080 reaches the inbound/])
})

t.test('addresses of somebody are never called', async (t) => {
  const { claims, notes } = probes({
    includeOutboundIpRanges: '10.0.0.0/8',
    includeInboundPorts: '',
  })
  t.same(claims, [])
  t.match(notes, [/outbound: no destination/, /inbound: no port/])
  const byPort = probes({ includeOutboundIpRanges: '', includeOutboundPorts: '53,443' })
  t.match(byPort.claims[0]?.[1], ['application to 192.0.2.1:443 reaches the outbound listener'])
})
