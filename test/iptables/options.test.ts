import t from 'tap'
import {
  defaultCaptureOptions,
  type OptionTexts,
  readCaptureOptions,
  textsFromAnnotations,
  textsFromEnv,
} from '../../iptables/option-texts.ts'
import { type CaptureOptions, captureOptionTable, type OptionName } from '../../iptables/options.ts'

const texts = (given: Partial<Record<OptionName, string>>): OptionTexts =>
  Object.fromEntries(Object.entries(given).map(([name, text]) => [name, { text, source: name }]))

const read = (given: Partial<Record<OptionName, string>>) => readCaptureOptions(texts(given))

t.test('every default can be read and nothing contradicts', async (t) => {
  const { problems } = readCaptureOptions({})
  t.same(problems, [])
  t.match(defaultCaptureOptions(), {
    interceptionMode: 'redirect',
    includeInboundPorts: '*',
    includeOutboundIpRanges: '*',
    proxyUids: [1337],
    proxyGids: [1337],
    dnsCapture: 'off',
    ipv6: 'auto',
    backend: 'auto',
  })
})

const accepted: [OptionName, string, unknown][] = [
  ['includeInboundPorts', ' * ', '*'],
  ['includeInboundPorts', '', []],
  [
    'includeInboundPorts',
    '80, 8000-8010',
    [
      { first: 80, last: 80 },
      { first: 8000, last: 8010 },
    ],
  ],
  ['includeOutboundIpRanges', '10.0.0.0/8,fd00::/8', ['10.0.0.0/8', 'fd00::/8']],
  ['excludeOutboundIpRanges', '10.1.2.3', ['10.1.2.3/32']],
  ['excludeOutboundIpRanges', 'FD77:0:0:0::3', ['fd77::3/128']],
  ['excludeOutboundIpRanges', '0.0.0.0/0,::/0', ['0.0.0.0/0', '::/0']],
  ['excludeInterfaces', 'eth1, veth+', ['eth1', 'veth+']],
  ['proxyUids', '1337,1338', [1337, 1338]],
  ['interceptionMode', 'REDIRECT', 'redirect'],
  ['interceptionMode', 'none', 'none'],
  ['dropInvalid', 'TRUE', true],
  ['inboundLocalOnly', 'false', false],
]
for (const [name, text, value] of accepted)
  t.test(`${name} '${text}' is understood`, async (t) => {
    const { options, problems } = read({ [name]: text })
    t.same(problems, [])
    t.same(options[name], value)
  })

const refused: [OptionName, string, RegExp][] = [
  ['includeInboundPorts', '80,,81', /empty element/],
  ['includeInboundPorts', '0', /no port/],
  ['includeInboundPorts', '65536', /no port/],
  ['includeInboundPorts', '80-79', /write 79-80/],
  ['includeInboundPorts', '1-2-3', /no range/],
  ['excludeInboundPorts', '*', /ports must be listed/],
  ['excludeOutboundPorts', 'http', /no port/],
  ['excludeOutboundIpRanges', '*', /prefixes must be listed/],
  ['includeOutboundIpRanges', '10.0.0.5/8', /write 10\.0\.0\.0\/8, or 10\.0\.0\.5\/32/],
  ['includeOutboundIpRanges', 'fd77::5/16', /write fd77::\/16, or fd77::5\/128/],
  ['includeOutboundIpRanges', 'fd77::1.2.3.4/112', /write fd77::102:0\/112/],
  ['includeOutboundIpRanges', '10.0.0.0/33', /from 0 to 32/],
  ['includeOutboundIpRanges', '10.0.0/8', /no IP address/],
  ['includeOutboundIpRanges', '::ffff:10.0.0.0/104', /IPv4 in IPv6/],
  ['includeOutboundIpRanges', 'fe80::%eth0/64', /no IP address|zone/],
  ['excludeInterfaces', 'a-name-of-sixteen', /longer than 15/],
  ['excludeInterfaces', 'a b', /no interface name/],
  ['excludeInterfaces', '../x', /no interface name/],
  ['excludeInterfaces', '-j', /no interface name/],
  ['proxyUids', 'envoy', /numeric/],
  ['proxyUids', '0', /root/],
  ['proxyGids', '', /at least one/],
  ['excludeOutboundUids', '4294967295', /no id/],
  ['interceptionMode', 'TPROXY', /not implemented yet/],
  ['interceptionMode', 'magic', /one of redirect, tproxy, none/],
  ['backend', 'nft', /not supported: use iptables-nft/],
  ['dnsServers', '10.0.0.0/8', /no IP address/],
  ['dropInvalid', 'maybe', /neither true nor false/],
]
for (const [name, text, message] of refused)
  t.test(`${name} '${text}' is refused`, async (t) => {
    const { problems } = read({ [name]: text })
    t.match(problems, [{ option: name, source: name, message }])
    t.equal(problems.length, 1)
  })

t.test('all problems are told at once', async (t) => {
  const { problems } = read({ proxyUids: 'x', outboundPort: '-1', ipv6: 'maybe' })
  t.same(problems.map(({ option }) => option).sort(), ['ipv6', 'outboundPort', 'proxyUids'])
})

t.test('values that contradict each other are refused', async (t) => {
  const message = (given: Partial<Record<OptionName, string>>) => read(given).problems[0]?.message
  t.match(message({ dnsCapture: 'all', excludeOutboundPorts: '50-60' }), /port 53 is excluded/)
  t.match(message({ inboundPort: '15001' }), /also the outboundPort/)
  t.match(
    message({ excludeInterfaces: 'tap0', rerouteVirtualInterfaces: 'tap0' }),
    /tap0 is also excluded/,
  )
})

t.test("a Pod's annotations name the options, the current name before the old one", async (t) => {
  const found = textsFromAnnotations({
    'traffic.sidecar.istio.io/includeOutboundIPRanges': '10.0.0.0/8',
    'traffic.sidecar.istio.io/excludeInboundPorts': '9000',
    'traffic.sidecar.istio.io/kubevirtInterfaces': 'old0',
    'istio.io/reroute-virtual-interfaces': 'new0',
    'sidecar.istio.io/interceptionMode': 'REDIRECT',
    'other.example/annotation': 'x',
  })
  const { options, problems } = readCaptureOptions(found)
  t.same(problems, [])
  const expected: Partial<CaptureOptions> = {
    includeOutboundIpRanges: ['10.0.0.0/8'],
    excludeInboundPorts: [{ first: 9000, last: 9000 }],
    rerouteVirtualInterfaces: ['new0'],
    interceptionMode: 'redirect',
  }
  t.match(options, expected)
})

t.test('a problem names the annotation or variable it came from', async (t) => {
  const key = 'traffic.sidecar.istio.io/excludeOutboundPorts'
  t.match(readCaptureOptions(textsFromAnnotations({ [key]: 'x' })).problems, [{ source: key }])
  const variable = 'OUTRIDER_EXCLUDE_OUTBOUND_PORTS'
  t.match(readCaptureOptions(textsFromEnv({ [variable]: 'x' })).problems, [{ source: variable }])
})

t.test('a variable that is set but blank counts: nothing is included', async (t) => {
  const { options } = readCaptureOptions(textsFromEnv({ OUTRIDER_INCLUDE_INBOUND_PORTS: '' }))
  t.same(options.includeInboundPorts, [])
})

t.test('flags and variables are unique', async (t) => {
  for (const key of ['flag', 'env', 'name'] as const)
    t.equal(new Set(captureOptionTable.map((row) => row[key])).size, captureOptionTable.length)
})
