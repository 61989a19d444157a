/** `npm start -- --once`: a canary's life in five steps, measured; true when all went as written. */
import { cpSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Interruption } from './interruption.ts'
import { isShare, measure, type Shares, sharesText, versionServed } from './measure.ts'
import { configFolder } from './members.ts'
import { type Ground, Mesh, openFolder, until } from './mesh.ts'

interface Step {
  readonly title: string
  /** reviews.yaml, or undefined to remove it. */
  readonly rules: string | undefined
  readonly requests: number
  readonly user?: string
  /** Expected share of each version. */
  readonly expected: Readonly<Record<string, number>>
  /** Shares follow load, not chance (least request): half of what is expected will do. */
  readonly byLoad?: boolean
}

const rules = (http: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
${http}
`
const to = (subset: string, weight?: number): string =>
  `{ destination: { host: reviews, subset: ${subset} }${weight === undefined ? '' : `, weight: ${weight}`} }`
const canary = rules(`    - route:\n        - ${to('v1', 90)}\n        - ${to('v3', 10)}`)
const byHeader = rules(`    - match: [{ headers: { end-user: { exact: jason } } }]
      route: [${to('v2')}]
    - route: [${to('v1')}]`)

const steps: readonly Step[] = [
  {
    title: 'no rule: every version has its part',
    rules: undefined,
    requests: 300,
    expected: { v1: 1 / 3, v2: 1 / 3, v3: 1 / 3 },
    byLoad: true,
  },
  {
    title: 'canary: 90 % v1, 10 % v3',
    rules: canary,
    requests: 600,
    expected: { v1: 0.9, v3: 0.1 },
  },
  {
    title: 'header match: jason gets v2',
    rules: byHeader,
    requests: 60,
    user: 'jason',
    expected: { v2: 1 },
  },
  { title: 'the same rule, for others: v1', rules: byHeader, requests: 60, expected: { v1: 1 } },
  {
    title: 'pinned: everybody gets v3',
    rules: rules(`    - route: [${to('v3')}]`),
    requests: 60,
    expected: { v3: 1 },
  },
]

export async function runScenario(
  ground: Ground,
  say: (line: string) => void,
  interruption: Interruption,
): Promise<boolean> {
  const folder = openFolder('outrider-config-')
  try {
    cpSync(configFolder, folder, { recursive: true })
    rmSync(join(folder, 'reviews.yaml'))
    await using mesh = await Mesh.start(ground, folder, interruption)
    say(`Six workloads with a sidecar each are up, ${ground.description}.`)
    let passed = true
    for (const step of steps)
      passed = (await interruption.or(runStep(step, folder, mesh, say))) && passed
    return (await interruption.or(runReloads(folder, mesh, say))) && passed
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runStep(
  step: Step,
  folder: string,
  mesh: Mesh,
  say: (line: string) => void,
): Promise<boolean> {
  const { pageUrl } = mesh.ground
  writeRules(folder, step.rules)
  // A step begins when the first answer shows its rule in force, or at once where chance decides.
  const only = Object.keys(step.expected).length === 1 ? Object.keys(step.expected)[0] : undefined
  if (only !== undefined)
    await until(`${only} to answer`, async () => (await versionServed(pageUrl, step.user)) === only)
  else await new Promise((done) => setTimeout(done, 1_000))
  const shares = await measure(pageUrl, step.requests, step.user)
  mesh.mustLive()
  const good = isAsExpected(shares, step)
  say(`${good ? 'ok    ' : 'FAILED'} ${step.title.padEnd(42)} ${sharesText(shares)}`)
  return good
}

function isAsExpected(shares: Shares, { expected, byLoad }: Step): boolean {
  if (shares.failures.length > 0) return false
  for (const version of shares.counts.keys()) if (expected[version] === undefined) return false
  return Object.entries(expected).every(([version, share]) => {
    const count = shares.counts.get(version) ?? 0
    return byLoad ? count >= (shares.total * share) / 2 : isShare(count, shares.total, share)
  })
}

/** Twenty edits under load: nothing fails, and the last one is in force. */
async function runReloads(
  folder: string,
  mesh: Mesh,
  say: (line: string) => void,
): Promise<boolean> {
  const { pageUrl } = mesh.ground
  let editing = true
  const edits = (async () => {
    for (let i = 0; i < 20; i++) {
      writeRules(folder, rules(`    - route: [${to(i % 2 === 0 ? 'v1' : 'v3')}]`))
      await new Promise((done) => setTimeout(done, 100))
    }
    editing = false
  })()
  let total = 0
  const failures: string[] = []
  while (editing) {
    const shares = await measure(pageUrl, 20)
    total += shares.total
    failures.push(...shares.failures)
  }
  await edits
  await until('v3 to answer', async () => (await versionServed(pageUrl)) === 'v3')
  const good = failures.length === 0
  const text = good
    ? `${total} requests, none failed`
    : `${failures.length} of ${total} failed: ${failures[0]}`
  say(`${good ? 'ok    ' : 'FAILED'} ${'reload: 20 edits under load'.padEnd(42)} ${text}`)
  return good
}

/** As editors do: a new file takes the old one's place. */
function writeRules(folder: string, text: string | undefined): void {
  const file = join(folder, 'reviews.yaml')
  if (text === undefined) {
    rmSync(file, { force: true })
    return
  }
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}
