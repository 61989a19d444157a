/** `outrider validate DIR...`: everything there is to say about a folder of YAML, before it runs. */
import type { Command } from 'commander'
import type { Loaded } from '../../config/loaded.ts'
import type { Problem } from '../../config/resource.ts'

/** Errors in the files, and files that could not be read at all. */
const EXIT_PROBLEMS = 1
const EXIT_UNREADABLE = 2

interface Options {
  readonly format: string
}

export function register(program: Command): void {
  program
    .command('validate')
    .description('check folders of Istio and Kubernetes YAML, and say what is wrong and where')
    .argument('<folder...>', 'folders (or single files), read together as one configuration')
    .option('--format <format>', 'text, or json for other tools', 'text')
    .addHelpText(
      'after',
      `
Each line is file:line:column: severity: message (code).
  error    the object is refused, or two objects contradict each other; exit status 1
  warning  it will not do what it seems to say
  info     good to know

Examples:
  outrider validate examples/bookinfo
  outrider validate base overlays/prod --format json`,
    )
    .action(async (folders: readonly string[], options: Options, command: Command) => {
      if (options.format !== 'text' && options.format !== 'json')
        command.error(`error: --format is text or json, not "${options.format}"`)
      process.exitCode = await validate(folders, options.format === 'json')
    })
}

/** The exit status. The reader is loaded here so that other commands start without it. */
async function validate(folders: readonly string[], asJson: boolean): Promise<number> {
  const { load, readFolder } = await import('../../config/load.ts')
  const files: Array<{ path: string; text: string }> = []
  for (const folder of folders) {
    try {
      files.push(...readFolder(folder))
    } catch (error) {
      process.stderr.write(`outrider: cannot read ${folder}: ${reason(error)}\n`)
      return EXIT_UNREADABLE
    }
  }
  if (files.length === 0) {
    process.stderr.write(`outrider: no .yaml, .yml or .json file in ${folders.join(', ')}\n`)
    return EXIT_UNREADABLE
  }
  const loaded = load(files)
  process.stdout.write(
    asJson ? jsonReport(loaded, files.length) : await textReport(loaded, files.length),
  )
  return loaded.problems.some(({ severity }) => severity === 'error') ? EXIT_PROBLEMS : 0
}

async function textReport(loaded: Loaded, files: number): Promise<string> {
  const { countBySeverity, problemLine } = await import('../../config/diagnostics.ts')
  const lines = loaded.problems.map((problem) => withHint(problemLine(problem), problem))
  const counts = countBySeverity(loaded.problems)
  const objects = loaded.resources.length
  const found = [
    counted(counts.error, 'error'),
    counted(counts.warning, 'warning'),
    counted(counts.info, 'note'),
  ]
  const refused = loaded.refused.length === 0 ? '' : `; refused: ${loaded.refused.join(', ')}`
  lines.push(
    `${counted(files, 'file')}, ${counted(objects, 'object')} in use: ${found.join(', ')}${refused}`,
  )
  return `${lines.join('\n')}\n`
}

function withHint(line: string, { hint }: Problem): string {
  return hint === '' ? line : `${line}\n    ${hint}`
}

function counted(count: number, what: string): string {
  return `${count === 0 ? 'no' : count} ${what}${count === 1 ? '' : 's'}`
}

function jsonReport(loaded: Loaded, files: number): string {
  const { problems, refused, unreadableFiles } = loaded
  const report = { files, objects: loaded.resources.length, problems, refused, unreadableFiles }
  return `${JSON.stringify(report, null, 2)}\n`
}

const REASONS = new Map([
  ['ENOENT', 'there is no such folder or file'],
  ['EACCES', 'permission denied'],
  ['ELOOP', 'its symbolic links form a ring'],
])

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return REASONS.get(code ?? '') ?? message
}
