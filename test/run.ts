/**
 * Runs the tests: `npm test` everything that needs no privilege, `npm test -- PATH...` files or folders
 * by name. Each file is a plain program that prints TAP (node-tap); its own totals are what is summed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, globSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** Suites that want root, a container engine or minutes: `.ci/run` runs them one by one. */
const ownSuites = ['test/netns', 'test/containers', 'test/package', 'test/peers']

const root = resolve(import.meta.dirname, '..')

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: '2' },
    timeout: { type: 'string', default: '120' },
    report: { type: 'string', default: '.tap/report.tap' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const usage = `usage: npm test -- [--jobs N] [--timeout SECONDS] [--report FILE] [PATH...]

Without PATH: all of test/ but ${ownSuites.join(', ')}.
PATH is a test file or a folder. The full TAP report is written to ${options.report}.
OUTRIDER_REQUIRE_ALL=1 makes a skipped test count as failed.
`

interface Totals {
  passed: number
  failed: number
  skipped: number
}

interface Outcome {
  readonly file: string
  readonly tap: string
  readonly totals: Totals
  /** What went wrong beyond failed assertions: a crash, a timeout, no report. */
  readonly complaint: string | undefined
  readonly stderr: string
  readonly tookMs: number
}

const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** The test files under the paths, sorted, relative to the project. */
function testFiles(paths: readonly string[]): string[] {
  const found = paths.flatMap((path) =>
    isFolder(resolve(root, path))
      ? globSync(join(path, '**/*.test.ts'), { cwd: root })
      : [relative(root, resolve(root, path))],
  )
  return [...new Set(found)].sort()
}

function unprivilegedFiles(): string[] {
  const isOwnSuite = (file: string) => ownSuites.some((folder) => file.startsWith(`${folder}/`))
  return testFiles(['test']).filter((file) => !isOwnSuite(file))
}

/** The totals node-tap prints below a file's report: `# { total: 5, pass: 3, fail: 1, skip: 1 }`. */
function readTotals(tap: string): Totals | undefined {
  const summary = /^# \{ total: .*\}$/m.exec(tap)?.[0]
  if (summary === undefined) return undefined
  const count = (name: string) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  const emptyPlan = /^1\.\.0 # \S/m.test(tap) ? 1 : 0
  return {
    passed: count('pass'),
    failed: count('fail'),
    skipped: count('skip') + count('todo') + emptyPlan,
  }
}

function complain(totals: Totals | undefined, status: string): string | undefined {
  if (totals === undefined) return `${status} before its report was complete`
  if (totals.failed > 0) return undefined
  if (status !== 'status 0') return `${status} though no assertion failed`
  return totals.passed + totals.skipped === 0 ? 'asserts nothing' : undefined
}

/** Test programs get a process group each, so that a timeout takes what they started with them. */
const running = new Set<ChildProcess>()
function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // it ended by itself meanwhile
  }
}

async function runFile(file: string): Promise<Outcome> {
  const started = performance.now()
  const child = spawn(process.execPath, ['--enable-source-maps', file], {
    cwd: root,
    detached: true,
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: options.timeout },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let [tap, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (tap += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // node-tap ends a slow test itself and tells where it hung; this is for a loop that never yields
  const limit = setTimeout(endGroup, (Number(options.timeout) + 15) * 1000, child, 'SIGKILL')
  const status = await new Promise<string>((done) => {
    child.on('close', (code, signal) => done(signal ?? `status ${code}`))
    child.on('error', (error) => done(error.message))
  })
  clearTimeout(limit)
  running.delete(child)
  const totals = readTotals(tap)
  const complaint = complain(totals, status)
  const tookMs = performance.now() - started
  const counted = totals ?? { passed: 0, failed: 0, skipped: 0 }
  if (complaint !== undefined) counted.failed++
  return { file, tap, totals: counted, complaint, stderr, tookMs }
}

/** A line for a file that passed; for one that failed, its report without what passed, and its stderr. */
function tell({ file, tap, totals, complaint, stderr, tookMs }: Outcome): void {
  const tally = [`${totals.passed} passed`]
  if (totals.failed > 0) tally.push(`${totals.failed} failed`)
  if (totals.skipped > 0) tally.push(`${totals.skipped} skipped`)
  const verdict = totals.failed > 0 ? 'FAILED' : 'ok    '
  console.log(`${verdict} ${file} (${tally.join(', ')}, ${(tookMs / 1000).toFixed(1)} s)`)
  if (totals.failed === 0) return
  const told = tap.split('\n').filter((line) => line.trim() !== '' && !/^ *ok \d/.test(line))
  if (complaint !== undefined) told.push(`!! ${file}: ${complaint}`)
  if (stderr !== '') told.push('-- stderr:', ...stderr.trimEnd().split('\n').slice(-100))
  console.log(told.map((line) => `    ${line}`).join('\n'))
}

async function runAll(files: readonly string[]): Promise<Outcome[]> {
  const waiting = [...files]
  const outcomes: Outcome[] = []
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const outcome = await runFile(file)
      tell(outcome)
      outcomes.push(outcome)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Number(options.jobs)) }, work))
  return outcomes
}

function writeReport(outcomes: readonly Outcome[]): void {
  const report = resolve(root, options.report)
  mkdirSync(dirname(report), { recursive: true })
  writeFileSync(report, outcomes.map(({ file, tap }) => `# ${file}\n${tap}`).join('\n'))
}

function tellSkips(outcomes: readonly Outcome[]): void {
  const files = Map.groupBy(
    outcomes.flatMap(({ file, tap }) =>
      [...tap.matchAll(/(?: # (?:SKIP|TODO)|^1\.\.0 #) ?(.*)$/gim)].map((found) => ({
        file,
        reason: found[1]?.replace(/ *# time=.*$/, '').trim() || 'no reason given',
      })),
    ),
    ({ reason }) => reason,
  )
  for (const [reason, skips] of files) {
    const where = new Set(skips.map(({ file }) => file))
    console.log(`skipped: ${reason} (${skips.length} in ${[...where].join(', ')})`)
  }
}

/** Says the totals, hands them to whoever asked (`.ci/run` sums several runs), true when all is well. */
function conclude(outcomes: readonly Outcome[], tookMs: number): boolean {
  const sum = (name: keyof Totals) => outcomes.reduce((n, { totals }) => n + totals[name], 0)
  const [passed, skipped] = [sum('passed'), sum('skipped')]
  let failed = sum('failed')
  tellSkips(outcomes)
  if (process.env['OUTRIDER_REQUIRE_ALL'] === '1' && skipped > 0) {
    console.log(`OUTRIDER_REQUIRE_ALL=1: the ${skipped} skipped count as failed`)
    failed += skipped
  }
  const bad = outcomes.filter(({ totals }) => totals.failed > 0).map(({ file }) => file)
  if (bad.length > 0) console.log(`failed: ${bad.sort().join(' ')}`)
  console.log(
    `${outcomes.length} files in ${(tookMs / 1000).toFixed(0)} s, assertions: ` +
      `${passed} passed, ${failed} failed, ${skipped} skipped`,
  )
  const sums = process.env['OUTRIDER_TEST_TOTALS']
  if (sums !== undefined) appendFileSync(sums, `${passed} ${failed}\n`)
  return failed === 0
}

if (options.help) {
  process.stdout.write(usage)
  process.exit(0)
}
const files = positionals.length > 0 ? testFiles(positionals) : unprivilegedFiles()
if (files.length === 0) {
  console.error(`no test file under ${positionals.join(' ') || 'test'}`)
  process.exit(1)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    for (const child of running) endGroup(child, signal)
    process.exit(1)
  })
const started = performance.now()
const outcomes = await runAll(files)
writeReport(outcomes)
process.exitCode = conclude(outcomes, performance.now() - started) ? 0 : 1
