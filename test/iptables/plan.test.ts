import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { readCaptureOptions } from '../../iptables/option-texts.ts'
import type { OptionName } from '../../iptables/options.ts'
import { type CapturePlan, planCapture } from '../../iptables/plan.ts'
import { restoreInput } from '../../iptables/restore.ts'

type Given = Partial<Record<OptionName, string>>

function plan(given: Given, dnsServers: string[] = [], ipv6 = true): CapturePlan {
  const texts = Object.entries(given).map(([name, text]) => [name, { text, source: name }])
  const { options, problems } = readCaptureOptions(Object.fromEntries(texts))
  if (problems.length > 0) throw new TypeError(problems.map(({ message }) => message).join())
  return planCapture(options, { ipv6, dnsServers })
}

const textOf = ({ families }: CapturePlan): string =>
  families.map(({ family, tables }) => `# ${family}\n${restoreInput(tables)}`).join('\n')

const inChain = (given: Given, name: string, family = 0, servers: string[] = []): string[] => {
  const chains = plan(given, servers).families[family]!.tables.flatMap((table) => table.chains)
  return [...(chains.find((chain) => chain.name === `OUTRIDER_${name}`)?.rules ?? [])]
}

/** Written anew with OUTRIDER_UPDATE_GOLDEN=1; then read the difference before committing it. */
function golden(t: Test, name: string, text: string): void {
  const file = new URL(`golden/${name}.rules`, import.meta.url)
  if (process.env['OUTRIDER_UPDATE_GOLDEN'] === '1') writeFileSync(file, text)
  t.equal(text, readFileSync(file, 'utf8'))
}

const cases: Record<string, [Given, string[]?]> = {
  defaults: [{}],
  everything: [
    {
      excludeInboundPorts: '9000',
      excludeInboundSources: '10.77.9.9,fd77:9::9',
      excludeInterfaces: 'mgmt0',
      rerouteVirtualInterfaces: 'vm0',
      excludeOutboundUids: '2000',
      excludeOutboundGids: '2001',
      dnsCapture: 'all',
      excludeOutboundPorts: '9999',
      excludeOutboundIpRanges: '10.77.3.3,fd77:3::3',
      includeOutboundPorts: '8443',
      dropInvalid: 'true',
      preserveExisting: 'true',
    },
  ],
  'include-lists': [
    {
      includeInboundPorts: '8080,9000-9010',
      includeOutboundIpRanges: '10.96.0.0/12,10.77.3.0/24,fd96::/108',
      includeOutboundPorts: '8443',
      ipv6: 'on',
    },
  ],
  'dns-servers': [{ dnsCapture: 'servers', ipv6: 'on' }, ['10.96.0.10', '10.96.0.11', 'fd96::10']],
}
for (const [name, [given, servers]] of Object.entries(cases))
  t.test(`rules for ${name} are those written down`, async (t) => {
    golden(t, name, textOf(plan(given, servers)))
  })

t.test('mode none plans no rules at all', async (t) => {
  for (const family of plan({ interceptionMode: 'none' }).families)
    t.match(family, { tables: [], fingerprint: '', loopbackAddresses: [] })
})

t.test('IPv6 follows the machine with auto, and the option otherwise', async (t) => {
  const tables = (ipv6: string, there: boolean) =>
    plan({ ipv6 }, [], there).families[1]?.tables.length
  t.same([tables('auto', true), tables('auto', false)], [1, 0])
  t.same([tables('on', false), tables('off', true)], [1, 0])
})

t.test('without inbound capture nothing arriving is looked at', async (t) => {
  const nat = plan({ includeInboundPorts: '' }).families[1]
  t.same(nat?.tables[0]?.jumps, [{ from: 'OUTPUT', rule: '-j OUTRIDER_OUTPUT' }])
  t.same(inChain({ includeInboundPorts: '' }, 'PROXY_OUT'), [], 'self calls go direct')
  t.same(nat?.loopbackAddresses, [], 'no deliveries, no address for them')
})

t.test("without inbound capture guests' traffic still counts as outbound", async (t) => {
  const rules = inChain({ includeInboundPorts: '', rerouteVirtualInterfaces: 'vm0' }, 'INBOUND')
  t.same(rules, ['-i vm0 -p tcp -g OUTRIDER_OUT_FILTER'])
})

t.test('without outbound capture what leaves is not redirected', async (t) => {
  const given = { includeOutboundIpRanges: '', rerouteVirtualInterfaces: 'vm0' }
  t.notMatch(textOf(plan(given)), /15001|OUT_FILTER/)
  t.ok(inChain(given, 'INBOUND').includes('-i vm0 -j RETURN'), 'guests are left alone')
})

t.test('a family without ranges of its own captures ports only, or nothing', async (t) => {
  const v4only = { includeOutboundIpRanges: '10.0.0.0/8' }
  t.same(inChain(v4only, 'OUT_FILTER', 1), [])
  const rules = inChain({ ...v4only, includeOutboundPorts: '443' }, 'OUT_FILTER', 1)
  t.same(rules.slice(1), ['-p tcp -m multiport --dports 443 -j OUTRIDER_OUT_REDIRECT'])
})

t.test('a multiport match never has more than 15 slots, a range takes two', async (t) => {
  for (const count of [1, 11, 12, 15, 30, 41]) {
    const ports = Array.from({ length: count }, (_, index) => String(20000 + index))
    const given = { excludeInboundPorts: ['7000-7010', ...ports, '7000-7010'].join(',') }
    const lists = inChain(given, 'IN_FILTER')
      .map((rule) => /--dports (\S+)/.exec(rule)?.[1]?.split(','))
      .filter((list) => list !== undefined)
    for (const list of lists)
      t.ok(list.reduce((slots, text) => slots + (text.includes(':') ? 2 : 1), 0) <= 15)
    t.same(lists.flat().sort(), ['15008', '15020', '15021', '15090', '7000:7010', ...ports].sort())
  }
})

t.test('the fingerprint follows the rules, not the way they were asked for', async (t) => {
  const print = (given: Given, servers?: string[]) => plan(given, servers).families[0]?.fingerprint
  t.match(print({}), /^[0-9a-f]{16}$/)
  t.equal(print({}), print({ excludeOutboundPorts: ' ', backend: 'iptables-nft' }))
  t.not(print({}), print({ excludeOutboundPorts: '81' }))
  t.not(
    print({ dnsCapture: 'servers' }, ['10.0.0.1']),
    print({ dnsCapture: 'servers' }, ['10.0.0.2']),
  )
  t.equal(print({}), print({ excludeOutboundIpRanges: 'fd77::/64' }), 'a matter of IPv6 alone')
})
