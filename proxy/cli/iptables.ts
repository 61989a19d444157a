/** `outrider iptables plan|apply|check|undo`: the rules that bring a workload's TCP to the proxy. */
import { spawnSync } from 'node:child_process'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { applyCapture, dryRunCapture } from '../../iptables/apply.ts'
import { lockWaitSeconds } from '../../iptables/backend.ts'
import { checkCapture } from '../../iptables/check.ts'
import { CaptureError, ExitCode } from '../../iptables/failure.ts'
import { type OptionTexts, readCaptureOptions } from '../../iptables/option-texts.ts'
import { type CaptureOption, captureOptionTable } from '../../iptables/options.ts'
import type { CapturePlan } from '../../iptables/plan.ts'
import { restoreInput } from '../../iptables/restore.ts'
import { planHere } from '../../iptables/surroundings.ts'
import { exitCodeOf, undoCapture } from '../../iptables/undo.ts'
import { demandVerified, type VerifyReport, verifyCapture } from '../../iptables/verify.ts'
import { originalDestination } from '../net/original-destination.ts'

interface Flags {
  readonly netns?: string
  readonly dryRun?: boolean
  readonly verify?: boolean
  readonly detachOnly?: boolean
  readonly lockWait?: number
}

const exitCodes = `
Exit status: 0 done or in sync already, 1 options that cannot be used, 2 a capability, program or part
of the kernel is missing, 3 the rules did not capture (taken back) or are not in sync, 4 someone else
holds the lock or changes rules: try again.`

const applyHelp = `
Options are Istio's annotations (traffic.sidecar.istio.io/includeInboundPorts is --include-inbound-ports);
lists are separated by commas, '' is an empty list. Rules are put in force by one atomic restore per IP
family: applying again changes nothing when all is in place, and lets no connection escape when it is not.
${exitCodes}

Examples:
  $ outrider iptables apply
  $ outrider iptables apply --exclude-outbound-ports 5432 --exclude-outbound-ip-ranges 169.254.169.254/32
  $ outrider iptables apply --dry-run --include-inbound-ports 8080,9000-9010`

const undoHelp = `
Connections that are captured at this moment break when their rules go. To spare them, undo with
--detach-only first (new connections go direct), let the others end, then undo again.
${exitCodes}`

export function register(program: Command): void {
  const group = program
    .command('iptables')
    .description('The firewall rules that bring the TCP of this network namespace to the proxy.')
  withCaptureOptions(group.command('plan'))
    .description('Print the rules and change nothing; needs no privilege.')
    .action((_flags, command: Command) => printPlan(command))
  withPlace(withCaptureOptions(group.command('apply')))
    .description('Put the rules in force, and prove that they capture. Needs root.')
    .option('--dry-run', 'print what would be run here, and change nothing', false)
    .option('--no-verify', 'do not prove the capture by connecting to it')
    .addHelpText('after', applyHelp)
    .action((flags: Flags, command: Command) => apply(flags, command))
  withPlace(withCaptureOptions(group.command('check')))
    .description('Say whether the rules in force are those of these options. Needs root.')
    .option(
      '--verify',
      'also prove the capture by connecting to it (before the proxy starts)',
      false,
    )
    .addHelpText('after', exitCodes)
    .action((flags: Flags, command: Command) => check(flags, command))
  withPlace(group.command('undo'))
    .description('Take the rules away, in every backend. Needs root.')
    .option('--detach-only', 'only stop capturing new connections; captured ones live on', false)
    .addHelpText('after', undoHelp)
    .action((flags: Flags) => undo(flags))
}

function withCaptureOptions(command: Command): Command {
  for (const row of captureOptionTable) command.addOption(commanderOption(row))
  return command
}

function commanderOption(row: CaptureOption): Option {
  const isFlag = row.defaultText === 'true' || row.defaultText === 'false'
  const value = isFlag ? `[${row.placeholder.toLowerCase()}]` : `<${row.placeholder.toLowerCase()}>`
  const shown = row.defaultText === '' ? 'none' : row.defaultText
  return new Option(`--${row.flag} ${value}`, row.help).env(row.env).default(row.defaultText, shown)
}

function withPlace(command: Command): Command {
  return command
    .option('--netns <path>', 'network namespace to work in: a path, or a name of `ip netns`')
    .option(
      '--lock-wait <seconds>',
      'how long to wait for another program that changes rules',
      seconds,
      lockWaitSeconds,
    )
}

function seconds(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('A whole number of seconds is expected.')
}

/** The plan of the flags and variables given; all that is wrong with them at once. */
function planOf(command: Command): Promise<CapturePlan> {
  const texts: OptionTexts = {}
  for (const row of captureOptionTable) {
    const attribute = commanderOption(row).attributeName()
    const value: unknown = command.getOptionValue(attribute)
    const source = command.getOptionValueSource(attribute) === 'env' ? row.env : `--${row.flag}`
    texts[row.name] = { text: String(value), source }
  }
  const { options, problems } = readCaptureOptions(texts)
  if (problems.length === 0) return planHere(options)
  const lines = problems.map(({ source, message }) => `${source}: ${message}`)
  throw new CaptureError(ExitCode.Options, lines.join('\noutrider: '))
}

async function printPlan(command: Command): Promise<void> {
  const plan = await planOf(command)
  for (const { family, tables, loopbackAddresses } of plan.families) {
    if (tables.length === 0) say(`# ${family}: nothing is captured`)
    else
      say(
        `# ${family}, as ${family === 'ipv6' ? 'ip6tables' : 'iptables'}-restore --noflush reads it`,
      )
    process.stdout.write(restoreInput(tables))
    for (const address of loopbackAddresses) say(`# ip -6 addr replace ${address} dev lo`)
  }
}

async function apply(flags: Flags, command: Command): Promise<void> {
  if (enterNamespace(flags)) return
  const plan = await planOf(command)
  if (flags.dryRun) {
    await printDryRun(plan)
    return
  }
  let verified: VerifyReport | undefined
  const verify = async () => {
    verified = await verifyCapture(plan, { originalDestination })
    demandVerified(verified)
  }
  const result = await applyCapture(plan, {
    lockWaitSeconds: flags.lockWait ?? lockWaitSeconds,
    ...(flags.verify === false || plan.options.interceptionMode === 'none' ? {} : { verify }),
  })
  const warnings = [...result.warnings, ...(verified?.notes ?? [])]
  for (const warning of warnings) process.stderr.write(`outrider: warning: ${warning}\n`)
  const outcome = result.outcome === 'applied' ? 'applied' : 'in place already, nothing changed'
  if (plan.options.interceptionMode === 'none') say('capture is off: no rules are here')
  else say(`capture rules ${outcome} (${result.backend})`)
  for (const claim of verified?.proven ?? []) say(`  proven: ${claim}`)
}

async function printDryRun(plan: CapturePlan): Promise<void> {
  const { backend, commands } = await dryRunCapture(plan)
  if (commands.length === 0) say(`# in place already, nothing to run (${backend})`)
  for (const { argv, input } of commands) {
    say(`# ${input === '' ? '' : 'standard input of: '}${argv.join(' ')}`)
    process.stdout.write(input)
  }
}

async function check(flags: Flags, command: Command): Promise<void> {
  if (enterNamespace(flags)) return
  const plan = await planOf(command)
  const { inSync, backend, differences, notes } = await checkCapture(plan)
  for (const note of notes) process.stderr.write(`outrider: warning: ${note}\n`)
  say(inSync ? `capture rules are in sync (${backend})` : `capture rules differ (${backend}):`)
  for (const difference of differences) say(`  ${difference}`)
  if (!inSync) process.exitCode = ExitCode.Verification
  if (!flags.verify) return
  const report = await verifyCapture(plan, { originalDestination })
  for (const claim of report.proven) say(`  proven: ${claim}`)
  for (const note of report.notes) process.stderr.write(`outrider: warning: ${note}\n`)
  for (const failure of report.failures) say(`  failed: ${failure}`)
  if (report.failures.length > 0) process.exitCode = ExitCode.Verification
}

async function undo(flags: Flags): Promise<void> {
  if (enterNamespace(flags)) return
  const { detachOnly = false, lockWait = lockWaitSeconds } = flags
  const result = await undoCapture({ detachOnly, lockWaitSeconds: lockWait })
  const { removed, problems } = result
  if (removed.length === 0 && problems.length === 0) say('no capture rules are here')
  else if (removed.length > 0)
    say(`capture rules ${detachOnly ? 'detached' : 'removed'} (${removed.join(', ')})`)
  for (const { message } of problems) process.stderr.write(`outrider: ${message}\n`)
  process.exitCode = exitCodeOf(result)
}

/** With --netns this very command runs again inside; true when it did. */
function enterNamespace({ netns }: Flags): boolean {
  if (netns === undefined) return false
  const path = netns.includes('/') ? netns : `/run/netns/${netns}`
  const args = process.argv.slice(1)
  const at = args.findIndex((word) => word === '--netns' || word.startsWith('--netns='))
  args.splice(at, args[at] === '--netns' ? 2 : 1)
  const inside = [`--net=${path}`, '--', process.execPath, ...process.execArgv, ...args]
  const { status, error } = spawnSync('nsenter', inside, { stdio: 'inherit' })
  if (error)
    throw new CaptureError(
      ExitCode.Environment,
      `nsenter did not run: ${error.message}. --netns needs the package util-linux`,
    )
  process.exitCode = status ?? ExitCode.Environment
  return true
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
