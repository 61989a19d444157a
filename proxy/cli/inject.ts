/** `outrider inject`: faults on purpose in a running proxy, for a while. */
import type { Command } from 'commander'
import { StartFailure } from '../control/start-failure.ts'
import { type AdminPlace, adminUrl, withAdminPlace } from './admin-place.ts'

interface SetOptions extends AdminPlace {
  readonly for?: string
  readonly port?: string
  readonly subset?: string
  readonly rule?: string
  readonly seed?: string
  readonly eachTry?: true
}

const help = `
Faults: delay 500ms 10%, abort 503 10%, abort UNAVAILABLE 10%, refuse 10%, reset 64KiB 10%,
truncate 100 10%, slow 10KiB/s 10%; several with ; between them. They end by themselves.

Examples:
  $ outrider inject set reviews 'abort 503 10%' --for 5m
  $ outrider inject set ratings 'delay 2s 50%; reset 1KiB 5%' --seed 42
  $ outrider inject list
  $ outrider inject clear 3
  $ outrider inject clear`

export function register(program: Command): void {
  const inject = program
    .command('inject')
    .description('Disturb calls of a running proxy on purpose, for a while.')
    .addHelpText('after', help)
  withAdminPlace(inject.command('set'))
    .description('Disturb calls to a service.')
    .argument('<host>', 'the service, as in a VirtualService; * for all')
    .argument('<faults>', 'what to do, and to how many of the requests')
    .option('--for <duration>', 'how long: 30s, 5m; default 60s, at most 24h')
    .option('--port <port>', 'only on this port of the service')
    .option('--subset <name>', 'only requests to this subset')
    .option('--rule <name>', 'only requests that follow the rule of this name')
    .option('--seed <number>', 'decide by the request id: the same requests fail again')
    .option('--each-try', 'delays and aborts in every try, below retries and timeouts')
    .action(set)
  withAdminPlace(inject.command('list'))
    .description('Say what is disturbed now.')
    .action((options: AdminPlace) => call(options, 'GET', {}))
  withAdminPlace(inject.command('clear'))
    .description('End one, or all.')
    .argument('[number]', 'as set and list have named it')
    .action((id: string | undefined, options: AdminPlace) =>
      call(options, 'POST', { clear: id ?? 'all' }),
    )
}

async function set(host: string, fault: string, options: SetOptions): Promise<void> {
  const { port, subset, rule, seed } = options
  const placement = options.eachTry === true ? 'each-try' : undefined
  await call(options, 'POST', {
    host,
    fault,
    for: options.for,
    port,
    subset,
    rule,
    seed,
    placement,
  })
}

async function call(
  place: AdminPlace,
  method: 'GET' | 'POST',
  asked: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(asked)) if (value !== undefined) query.set(name, value)
  const { status, text } = await fetchText(adminUrl(place, `/faults?${query}`), method)
  if (status !== 200) throw new StartFailure(text.trim(), status === 400 ? 2 : 1)
  process.stdout.write(text)
}

function fetchText(url: string, method: string): Promise<{ status: number; text: string }> {
  // Not imported: see http-door.ts.
  const http = process.getBuiltinModule('node:http')
  return new Promise((done, failed) => {
    const request = http.request(url, { method, timeout: 5_000, agent: false }, (reply) => {
      let text = ''
      reply.on('data', (chunk) => {
        text += String(chunk)
      })
      reply.on('end', () => done({ status: reply.statusCode ?? 0, text }))
    })
    request.on('timeout', () => request.destroy(new StartFailure('no answer within 5 s')))
    request.on('error', (error: NodeJS.ErrnoException) => {
      const where = new URL(url).host
      const text =
        error.code === 'ECONNREFUSED' ? `no proxy's admin port at ${where}` : error.message
      failed(new StartFailure(text))
    })
    request.end()
  })
}
