/** `outrider wait`: returns when a running proxy is ready, or runs a given configuration version. */
import { type Command, Option } from 'commander'
import { ports } from '../../config/ports.ts'
import { StartFailure } from '../control/start-failure.ts'
import { type AdminPlace, adminUrl, withAdminPlace } from './admin-place.ts'

interface WaitOptions extends AdminPlace {
  readonly configVersion?: string
  readonly timeout: string
  readonly healthPort: string
  readonly quiet: boolean
}

const help = `
Without --config-version it asks the health port, as a kubelet does. With it, it asks the admin port
and returns once every worker runs that version (outrider validate and the log name versions).

Examples:
  $ outrider wait --timeout 10s && ./start-my-app
  $ outrider wait --config-version 3f9a12c04b7d

As a container health check (one look, no waiting):
  HEALTHCHECK CMD ["outrider", "wait", "--timeout", "0"]`

export function register(program: Command): void {
  const command = program
    .command('wait')
    .description('Wait until a running proxy is ready; also good as a container health check.')
    .option('--config-version <version>', 'wait until every worker runs this version')
    .option('--timeout <duration>', 'give up after this long: 30s, 500ms, 2m, plain seconds', '60s')
  withAdminPlace(command)
    .addOption(
      new Option('--health-port <port>', 'health port of the proxy')
        .env('OUTRIDER_HEALTH_PORT')
        .default(String(ports.health)),
    )
    .option('--quiet', 'print nothing when it becomes ready', false)
    .addHelpText('after', help)
    .action(wait)
}

const lookEveryMs = 100

async function wait(options: WaitOptions): Promise<void> {
  const { configVersion } = options
  const page =
    configVersion === undefined
      ? `http://127.0.0.1:${options.healthPort}/healthz/ready`
      : adminUrl(options, `/ready?version=${encodeURIComponent(configVersion)}`)
  const deadline = performance.now() + milliseconds(options.timeout)
  let seen = await look(page)
  while (!seen.ready && performance.now() < deadline) {
    await new Promise((done) => setTimeout(done, lookEveryMs))
    seen = await look(page)
  }
  if (!seen.ready) throw new StartFailure(`not ready after ${options.timeout}: ${seen.text}`)
  if (!options.quiet) process.stdout.write(`${seen.text}\n`)
}

function milliseconds(text: string): number {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text)
  if (found === null)
    throw new StartFailure(`--timeout "${text}" is no duration: write 30s or 500ms`, 2)
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[found[2] ?? 's'] ?? 1_000
  return Number(found[1]) * unit
}

interface Look {
  readonly ready: boolean
  /** What the proxy said, or why it said nothing; one line. */
  readonly text: string
}

function look(page: string): Promise<Look> {
  // Not imported: see http-door.ts.
  const http = process.getBuiltinModule('node:http')
  return new Promise((done) => {
    const request = http.get(page, { timeout: 2_000, agent: false }, (reply) => {
      let text = ''
      reply.on('data', (chunk) => {
        text += String(chunk)
      })
      reply.on('end', () => {
        done({ ready: reply.statusCode === 200, text: text.trim().replaceAll('\n', ', ') })
      })
    })
    request.on('timeout', () => request.destroy(new StartFailure('no answer within 2 s')))
    request.on('error', (error: NodeJS.ErrnoException) => {
      const refused = error.code === 'ECONNREFUSED'
      done({ ready: false, text: refused ? `nothing listens at ${page}` : error.message })
    })
  })
}
