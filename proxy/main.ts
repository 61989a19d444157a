/** The command line's entry: loads the one command that was asked for, and nothing else. */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'

interface CommandModule {
  register(program: Command): void
}

interface Entry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<CommandModule>
}

const entries: readonly Entry[] = [
  {
    name: 'run',
    summary: 'Run the proxy beside an application, following a folder of YAML.',
    load: () => import('./cli/run.ts'),
  },
  {
    name: 'validate',
    summary: 'Check a folder of YAML and print every problem with file, line and column.',
    load: () => import('./cli/validate.ts'),
  },
  {
    name: 'explain',
    summary: 'Say where a request would go and why, rule by rule, without running anything.',
    load: () => import('./cli/explain.ts'),
  },
  {
    name: 'iptables',
    summary: 'Show, install, check or remove the rules that capture traffic (root, Linux).',
    load: () => import('./cli/iptables.ts'),
  },
  {
    name: 'inject',
    summary: 'Disturb calls of a running proxy on purpose, for a while.',
    load: () => import('./cli/inject.ts'),
  },
  {
    name: 'demo',
    summary: 'Start a small mesh on this machine and watch a canary shift as you edit YAML.',
    load: () => import('./cli/demo.ts'),
  },
  {
    name: 'wait',
    summary: 'Wait until a running proxy is ready; also good as a container health check.',
    load: () => import('./cli/wait.ts'),
  },
  {
    name: 'version',
    summary: 'Print the version of Outrider, of Node and of the platform.',
    load: () => import('./cli/version.ts'),
  },
]

const examples = `
Examples:
  See it work, nothing needed but this machine:
    $ outrider demo

  Check your Istio YAML:
    $ outrider validate ./mesh

  Ask where a request goes and which line decides:
    $ outrider explain --config ./mesh --namespace default --labels app=productpage \\
        GET http://reviews:9080/reviews/1 -H 'end-user: jason'

  Run beside an application, without root or iptables, and call a service through it:
    $ outrider run --explicit --config ./mesh --namespace default --labels app=productpage
    $ curl -H 'Host: reviews:9080' http://127.0.0.1:15001/reviews/1

Each command has its own help: outrider COMMAND --help`

for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreNoReader)
await main(process.argv.slice(2))

/** Whoever read has gone (`| head`): what was asked is done all the same, and a proxy goes on. */
function ignoreNoReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

async function main(args: readonly string[]): Promise<void> {
  useCompileCache()
  const [first = '--help', second] = args
  try {
    if (first === '--version' || first === '-V') await runCommand('version', args.slice(1))
    else if (first === 'help' && second !== undefined) await runCommand(second, ['--help'])
    else if (first === '--help' || first === '-h' || first === 'help') await printHelp()
    else await runCommand(first, args.slice(1))
  } catch (error) {
    fail(error)
  }
}

/**
 * Saves each thread 14 MB and 100 ms; worker threads take it from the environment only. It lies beside
 * the program and not in the machine's temporary folder, where others could plant code for us.
 */
function useCompileCache(): void {
  const own = fileURLToPath(new URL('../node_modules/.cache/outrider', import.meta.url))
  process.env['NODE_COMPILE_CACHE'] ??= own
  enableCompileCache(process.env['NODE_COMPILE_CACHE'])
}

async function runCommand(name: string, args: readonly string[]): Promise<void> {
  const entry = entries.find((known) => known.name === name)
  if (entry === undefined) {
    await refuse(name)
    return
  }
  const [{ Command }, command] = await Promise.all([import('commander'), entry.load()])
  const program = new Command('outrider')
  program.showHelpAfterError(`(outrider ${name} --help tells what there is)`)
  // Options that do not exist are 2: 1 means that what was asked has failed. Commands have their own.
  program.exitOverride(({ code, exitCode }) => {
    process.exit(exitCode === 0 || code === 'commander.error' ? exitCode : 2)
  })
  command.register(program)
  await program.parseAsync([name, ...args], { from: 'user' })
}

async function printHelp(): Promise<void> {
  const { Command } = await import('commander')
  const program = new Command('outrider')
  program
    .usage('COMMAND [OPTIONS]')
    .description(
      'A sidecar proxy that follows unmodified Istio YAML from a folder, and says which file and line decided what it did.',
    )
  program.helpOption('-h, --help', 'Print this help, or that of a command.').helpCommand(false)
  program.option('-V, --version', 'Print the version.')
  for (const { name, summary } of entries) program.command(name).description(summary)
  program.addHelpText('after', examples)
  program.outputHelp()
}

async function refuse(name: string): Promise<void> {
  const { nearest } = await import('../config/diagnostics.ts')
  const names = entries.map((entry) => entry.name)
  const guess = name.startsWith('-') ? undefined : nearest(name, names)
  const what = name.startsWith('-')
    ? `the option ${name} needs a command`
    : `there is no command "${name}"`
  const hint = guess === undefined ? `Commands: ${names.join(', ')}.` : `Did you mean "${guess}"?`
  process.stderr.write(`outrider: ${what}. ${hint}\n`)
  process.exitCode = 2
}

/** Failures that were foreseen bring a sentence and an exit code; anything else is our mistake. */
function fail(error: unknown): void {
  const foreseen =
    error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number'
  const text = foreseen ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`outrider: ${text}\n`)
  process.exitCode = foreseen ? Number(error.exitCode) : 70
}
