/** `outrider explain GET http://reviews:9080/`: where a request would go and why, without running anything. */
import type { Command } from 'commander'
import { bootstrapFrom, type RunOptions, thisMachine } from '../../config/bootstrap.ts'
import { runSettings } from '../../config/bootstrap-settings.ts'
import type { Loaded } from '../../config/loaded.ts'
import type { WorkloadSpec } from '../../config/snapshot.ts'
import type { CallExplanation } from './explain-call.ts'
import { type AskedRequest, readRequest } from './explain-request.ts'

type Options = RunOptions & { readonly header?: readonly string[]; readonly format: string }

/** A folder that cannot be read. */
const EXIT_UNREADABLE = 2

const gather = (value: string, before: readonly string[] = []): string[] => [...before, value]

export function register(program: Command): void {
  const command = program
    .command('explain')
    .description('say where a request would go and why, rule by rule, without running anything')
    .usage('[options] [METHOD] URL')
    .argument('<method>', 'GET, POST, ...; may be left out: GET')
    .argument('[url]', 'http://host:port/path, https://host (by server name), or tcp://host:port')
  for (const name of callerSettings) {
    const setting: { flag: string; help: string; many?: true } = runSettings[name]
    if (setting.many) command.option(setting.flag, setting.help, gather)
    else command.option(setting.flag, setting.help)
  }
  command
    .option(
      '-H, --header <field>',
      "header of the request, 'name: value'; may be given several times",
      gather,
    )
    .option('--format <format>', 'text, or json for other tools', 'text')
    .addHelpText('after', help)
    .action(async (first: string, second: string | undefined, options: Options) => {
      const asked = ask(first, second, options)
      if (typeof asked === 'string') return command.error(`outrider: ${asked}`)
      process.exitCode = await explain(asked, options)
    })
}

/** The settings of `outrider run` that say who calls; also read from the environment. */
const callerSettings = [
  'config',
  'namespace',
  'labels',
  'serviceAccount',
  'ip',
  'locality',
  'domain',
] as const

const help = `
Marks: ✓ the rule that wins, ✗ a rule with its first condition that fails,
       - a rule that never applies to this workload and port, · a rule behind the winner.

Examples:
  outrider explain --config mesh --namespace default --labels app=productpage \\
      GET http://reviews:9080/ratings/1 -H 'end-user: jason'
  outrider explain --config mesh tcp://tcp-echo:9000`

interface Question {
  readonly request: AskedRequest
  readonly workload: WorkloadSpec
  readonly folders: readonly string[]
  readonly domain: string
}

/** A sentence where the command line makes no question. */
function ask(first: string, second: string | undefined, options: Options): Question | string {
  const [method, url] = second === undefined ? ['GET', first] : [first, second]
  if (options.format !== 'text' && options.format !== 'json')
    return `--format is text or json, not "${options.format}"`
  const request = readRequest(method, url, options.header ?? [])
  if (typeof request === 'string') return request
  const { bootstrap, problems } = bootstrapFrom(options, process.env, thisMachine)
  if (bootstrap === undefined) return problems.join('\n')
  const { workload, configPaths, domain } = bootstrap
  return { request, workload, folders: configPaths, domain }
}

/** The exit status. Reader and compiler are loaded here so that other commands start without them. */
async function explain(question: Question, options: Options): Promise<number> {
  const { request, workload, folders, domain } = question
  const { load, readFolder } = await import('../../config/load.ts')
  const { compile } = await import('../../config/compile.ts')
  const { explainCall } = await import('./explain-call.ts')
  const files: Array<{ path: string; text: string }> = []
  for (const folder of folders) {
    try {
      files.push(...readFolder(folder))
    } catch (error) {
      process.stderr.write(`outrider: cannot read ${folder}: ${(error as Error).message}\n`)
      return EXIT_UNREADABLE
    }
  }
  const loaded = load(files)
  const { snapshot } = compile(loaded.resources, workload, { domain })
  const explanation = explainCall(snapshot, request)
  if (options.format === 'json') process.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`)
  else await printText(explanation, workload)
  warnAboutProblems(loaded, folders)
  return 0
}

async function printText(explanation: CallExplanation, workload: WorkloadSpec): Promise<void> {
  const { explanationText } = await import('./explain-text.ts')
  const labels = Object.entries(workload.labels).map(([name, value]) => `${name}=${value}`)
  const who = labels.length === 0 ? 'a workload without labels' : labels.join(', ')
  process.stdout.write(
    `called by ${who} in namespace ${workload.namespace}\n${explanationText(explanation)}`,
  )
}

/** Objects that were refused take no part: whoever misses them here should know. */
function warnAboutProblems({ problems, refused }: Loaded, folders: readonly string[]): void {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  if (errors === 0) return
  const without = refused.length === 0 ? '' : `, explained without ${refused.join(', ')}`
  const count = `${errors} error${errors === 1 ? '' : 's'}`
  process.stderr.write(
    `\noutrider: ${count} in the configuration${without}: outrider validate ${folders.join(' ')}\n`,
  )
}
