import t from 'tap'
import { applyCapture, dryRunCapture } from '../../iptables/apply.ts'
import { CaptureError, ExitCode } from '../../iptables/failure.ts'
import { readCaptureOptions } from '../../iptables/option-texts.ts'
import type { OptionName } from '../../iptables/options.ts'
import { type CapturePlan, planCapture } from '../../iptables/plan.ts'
import type { Machine, ToolRun } from '../../iptables/tools.ts'
import { undoCapture } from '../../iptables/undo.ts'

type Given = Partial<Record<OptionName, string>>

function plan(given: Given = {}): CapturePlan {
  const texts = Object.entries(given).map(([name, text]) => [name, { text, source: name }])
  return planCapture(readCaptureOptions(Object.fromEntries(texts)).options, {
    ipv6: true,
    dnsServers: [],
  })
}

type Reply = Partial<Pick<ToolRun, 'status' | 'stdout' | 'stderr'>>

/** A machine on which programs answer as told; those not told of succeed and print nothing. */
class FakeMachine implements Machine {
  readonly runs: { name: string; input: string; env: Readonly<Record<string, string>> }[] = []
  private readonly tools: readonly string[]
  private readonly reply: (name: string, input: string, earlier: number) => Reply | undefined
  private readonly files: Readonly<Record<string, string>>

  constructor(
    tools: readonly string[],
    reply: (name: string, input: string, earlier: number) => Reply | undefined = () => undefined,
    files: Readonly<Record<string, string>> = {},
  ) {
    this.tools = tools
    this.reply = reply
    this.files = { '/proc/self/status': 'CapEff:\t000001ffffffffff\n', ...files }
  }

  has(tool: string): boolean {
    return this.tools.some((name) => tool === name || tool === `${name}-restore`)
  }

  async run(argv: readonly string[], { input = '', env = {} } = {}): Promise<ToolRun> {
    const [name = ''] = argv
    const earlier = this.runs.filter((run) => run.name === name).length
    this.runs.push({ name, input, env })
    return { argv, input, status: 0, stdout: '', stderr: '', ...this.reply(name, input, earlier) }
  }

  async readText(path: string): Promise<string | undefined> {
    return this.files[path]
  }
}

const nft = ['iptables-nft', 'ip6tables-nft', 'ip']
const legacy = ['iptables-legacy', 'ip6tables-legacy', 'ip']

async function failure(machine: Machine, given: Given = {}): Promise<CaptureError> {
  try {
    await applyCapture(plan(given), { machine })
  } catch (error) {
    if (error instanceof CaptureError) return error
    throw error
  }
  return new CaptureError(ExitCode.Options, 'it did not fail')
}

/** What a program says, and what we say of it. */
const refusals: [string, string[], Reply, RegExp, number][] = [
  ['no program', [], {}, /none of iptables-nft, iptables-legacy, iptables found/, 2],
  [
    'no legacy nat table',
    legacy,
    { status: 2, stderr: "iptables-restore v1.8.9 (legacy): unable to initialize table 'nat'" },
    /no legacy nat table.*use --backend iptables-nft, or load iptable_nat/,
    2,
  ],
  [
    'no owner match',
    nft,
    {
      status: 4,
      stderr:
        'Warning: Extension owner revision 0 not supported, missing kernel module?\nRULE_APPEND failed (No such file or directory)',
    },
    /xt_owner not available to iptables-nft.*--backend iptables-legacy/,
    2,
  ],
  [
    'no nf_tables',
    nft,
    { status: 1, stderr: 'iptables-nft: Failed to initialize nft: Protocol not supported' },
    /no nf_tables: use --backend iptables-legacy/,
    2,
  ],
  [
    'namespace of others',
    nft,
    { status: 4, stderr: 'Could not fetch rule set generation id: Permission denied' },
    /another user namespace/,
    2,
  ],
  [
    'lock held',
    legacy,
    {
      status: 4,
      stderr: 'Another app is currently holding the xtables lock. Stopped waiting after 30s.',
    },
    /held the xtables lock for 30 s: try again/,
    4,
  ],
  [
    'refused line',
    nft,
    { status: 2, stderr: 'iptables-nft-restore: line 3 failed' },
    /refused the rules \(status 2\), at line 3: -A OUTRIDER_PROBE .*: iptables-nft-restore: line 3/,
    2,
  ],
]
for (const [name, tools, reply, message, exitCode] of refusals)
  t.test(`${name}: the message names the cause and the cure`, async (t) => {
    const error = await failure(
      new FakeMachine(tools, (program) => (program.endsWith('-restore') ? reply : undefined)),
    )
    t.match(error.message, message)
    t.equal(error.exitCode, exitCode)
  })

t.test('a missing capability is found before anything is run', async (t) => {
  for (const [tools, capEff, message] of [
    [nft, '00000000a80425fb', /CAP_NET_ADMIN missing/],
    [legacy, '0000000000001000', /CAP_NET_RAW missing/],
  ] as const) {
    const status = { '/proc/self/status': `CapEff:\t${capEff}\n` }
    const machine = new FakeMachine(tools, () => undefined, status)
    t.match((await failure(machine, { backend: tools[0]! })).message, message)
    t.notOk(machine.runs.some(({ name }) => name.endsWith('-restore')))
  }
})

t.test('a backend the kernel does not know is passed over for one that works', async (t) => {
  const machine = new FakeMachine([...nft, ...legacy], (name, input) =>
    name.endsWith('-nft-restore')
      ? { status: 4, stderr: 'Extension owner revision 0 not supported, missing kernel module?' }
      : answerLikeKernel(name, input),
  )
  const { backend } = await applyCapture(plan(), { machine })
  t.equal(backend, 'iptables-legacy')
})

/** Remembers restored rules well enough to print them again. */
const memory = new Map<string, string>()
function answerLikeKernel(name: string, input: string): Reply | undefined {
  const key = name.replace(/-(save|restore)$/, '')
  if (name.endsWith('-restore') && !input.includes('PROBE')) memory.set(key, input)
  return name.endsWith('-save') ? { stdout: memory.get(key) ?? '' } : undefined
}

t.test(
  'IPv6 that cannot be captured is a warning with auto, an error when asked for',
  async (t) => {
    const broken = { status: 2, stderr: "ip6tables-restore: unable to initialize table 'nat'" }
    const make = () => {
      memory.clear()
      return new FakeMachine(nft, (name, input) =>
        name.startsWith('ip6tables') && name.endsWith('-restore')
          ? broken
          : answerLikeKernel(name, input),
      )
    }
    const { warnings } = await applyCapture(plan(), { machine: make() })
    t.match(warnings, [/IPv6 is not captured: .*no legacy nat table for IPv6/])
    t.match(await failure(make(), { ipv6: 'on' }), { exitCode: 2, message: /ip6table_nat/ })

    memory.clear()
    const without = new FakeMachine(['iptables-nft', 'ip'], answerLikeKernel)
    t.match((await applyCapture(plan(), { machine: without })).warnings, [/ipv6 is not captured/])
    memory.clear()
    t.match(await failure(without, { ipv6: 'on' }), { message: /ip6tables-nft-restore not found/ })
  },
)

t.test('a lock file that cannot be opened is tried elsewhere, once', async (t) => {
  memory.clear()
  const machine = new FakeMachine(legacy, (name, input, earlier) =>
    name === 'iptables-legacy-restore' && earlier === 0
      ? { status: 4, stderr: "Fatal: can't open lock file /run/xtables.lock: Permission denied" }
      : answerLikeKernel(name, input),
  )
  const files = { '/proc/net/ip_tables_names': 'nat', '/proc/net/ip6_tables_names': 'nat' }
  Object.assign(machine, { files: { ...files, '/proc/self/status': '' } })
  t.match(await applyCapture(plan(), { machine }), { outcome: 'applied' })
  const second = machine.runs.filter(({ name }) => name === 'iptables-legacy-restore')[1]
  t.match(second?.env, { XTABLES_LOCKFILE: /outrider-xtables\.lock$/ })
})

t.test('rules that changed since they were read are read again, once', async (t) => {
  memory.clear()
  const stale = (refusals: number) => {
    let [refused, reads] = [0, 0]
    const machine = new FakeMachine(nft, (name, input) => {
      if (name === 'iptables-nft-save') reads++
      const wanted = name === 'iptables-nft-restore' && input.includes('OUTRIDER_OUTPUT -m comment')
      if (wanted && refused++ < refusals) return { status: 1, stderr: 'line 2 failed' }
      return answerLikeKernel(name, input)
    })
    return { machine, reads: () => reads }
  }
  const once = stale(1)
  t.match(await applyCapture(plan(), { machine: once.machine }), { outcome: 'applied' })
  t.equal(once.reads(), 3, 'before, after the refusal, and to see that they stand')
  memory.clear()
  t.match(await failure(stale(2).machine), { message: /refused the rules/ })
})

t.test('what fails in IPv6 is taken back in IPv4', async (t) => {
  memory.clear()
  const machine = new FakeMachine(nft, (name, input) =>
    name === 'ip6tables-nft-restore' && input.includes('OUTRIDER_OUTPUT -m comment')
      ? { status: 1, stderr: 'ip6tables-nft-restore: line 9 failed' }
      : answerLikeKernel(name, input),
  )
  t.match((await failure(machine, { ipv6: 'on' })).message, /at line 9: /)
  t.match(memory.get('iptables-nft'), /-X OUTRIDER_OUTPUT/, 'the last input of IPv4 removes')
})

t.test('a dry run writes nothing, and neither does undo where nothing is', async (t) => {
  memory.clear()
  const machine = new FakeMachine(nft, answerLikeKernel)
  const { commands } = await dryRunCapture(plan(), machine)
  t.same(
    commands.map(({ argv }) => argv[0]),
    ['iptables-nft-restore', 'ip6tables-nft-restore', 'ip'],
  )
  t.match(await undoCapture({ machine }), { removed: [], problems: [] })
  t.notOk(machine.runs.some(({ name }) => name.endsWith('-restore') || name === 'ip'))
})
