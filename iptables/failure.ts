/** What went wrong with the rules, said with its cure; the exit status tells scripts which kind it was. */
import type { ToolRun } from './tools.ts'

export const ExitCode = {
  Done: 0,
  /** Options that cannot be used. */
  Options: 1,
  /** A capability, a program or a part of the kernel is missing. */
  Environment: 2,
  /** Applied, but it did not capture; rolled back. */
  Verification: 3,
  /** Someone else holds the lock or changes rules: try again. */
  Busy: 4,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

export class CaptureError extends Error {
  readonly exitCode: ExitCode
  /** The backend cannot do this here at all; another one may. */
  readonly unsupported: boolean

  constructor(exitCode: ExitCode, message: string, unsupported = false) {
    super(message)
    this.exitCode = exitCode
    this.unsupported = unsupported
  }
}

/** Bits of CapEff in /proc/self/status. */
const capability = { NET_ADMIN: 12n, NET_RAW: 13n } as const

/** Capabilities this process lacks, of those the rules may need; none when it cannot be known. */
export function missingCapabilities(status: string | undefined): string[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status ?? '')?.[1]
  if (effective === undefined) return []
  const held = BigInt(`0x${effective}`)
  return Object.entries(capability)
    .filter(([, bit]) => (held & (1n << bit)) === 0n)
    .map(([name]) => name)
}

/** NET_ADMIN for all, NET_RAW besides for the legacy tables. */
export function capabilityError(
  missing: readonly string[],
  legacy: boolean,
): CaptureError | undefined {
  const needed = missing.filter((name) => name === 'NET_ADMIN' || legacy)
  if (needed.length === 0) return undefined
  const names = needed.map((name) => `CAP_${name}`).join(' and ')
  return new CaptureError(
    ExitCode.Environment,
    `cannot change firewall rules: ${names} missing. ` +
      `Run as root, or add ${needed.join(' and ')} to the init container's capabilities`,
  )
}

export function noBackendError(tried: readonly string[]): CaptureError {
  return new CaptureError(
    ExitCode.Environment,
    `none of ${tried.join(', ')} found in PATH: install the package iptables`,
  )
}

interface Circumstances {
  readonly backend: string
  readonly missingCapabilities: readonly string[]
}

/** A failed run of an iptables program in words. Raw texts are ambiguous: capabilities decide first. */
export function explainToolFailure(run: ToolRun, circumstances: Circumstances): CaptureError {
  const { backend } = circumstances
  const said = run.stderr
  const legacy = backend.includes('legacy')
  const refused = /permission denied|operation not permitted|unable to initialize table/i.test(said)
  const lacking = refused && capabilityError(circumstances.missingCapabilities, legacy)
  if (lacking) return lacking
  const held = /currently holding the xtables lock.*?after (\d+)s/s.exec(said)
  if (held)
    return new CaptureError(
      ExitCode.Busy,
      `another program held the xtables lock for ${held[1]} s: try again when it is done`,
    )
  return explainKernel(run, backend) ?? explainRest(run, backend)
}

function explainKernel(run: ToolRun, backend: string): CaptureError | undefined {
  const said = run.stderr
  const family = run.argv.some((word) => word.startsWith('ip6tables')) ? 'IPv6' : 'IPv4'
  const table = /(?:unable to initialize table|can't initialize \w+ table) [`'"](\w+)'/i.exec(said)
  if (table || /Table does not exist/i.test(said)) {
    const name = table?.[1] ?? 'nat'
    const module = family === 'IPv6' ? `ip6table_${name}` : `iptable_${name}`
    return unsupported(
      `the kernel has no legacy ${name} table for ${family} (capabilities are fine): ` +
        `use --backend iptables-nft, or load ${module} on the node`,
    )
  }
  const extension =
    /Extension (\w+) .*not supported|Couldn't load (?:match|target) [`'](\w+)'/i.exec(said)
  const name = extension?.[1] ?? extension?.[2]
  if (name !== undefined) {
    const other = backend.includes('legacy') ? 'iptables-nft' : 'iptables-legacy'
    return unsupported(
      `kernel module xt_${name} not available to ${backend} (${family}): load it on the node, or try --backend ${other}`,
    )
  }
  if (/Failed to initialize nft|Protocol not supported/i.test(said))
    return unsupported(`the kernel has no nf_tables: use --backend iptables-legacy`)
  if (/permission denied|operation not permitted/i.test(said) && !/lock file/i.test(said))
    return new CaptureError(
      ExitCode.Environment,
      'the kernel refuses to change firewall rules although the capabilities are held: ' +
        'does this network namespace belong to another user namespace?',
    )
  return undefined
}

function explainRest(run: ToolRun, backend: string): CaptureError {
  if (run.status === null)
    return unsupported(`${run.argv.join(' ')} did not run: ${run.stderr.trim()}`)
  const lineNumber = Number(/(?:line|Line:?) (\d+)/.exec(run.stderr)?.[1] ?? 0)
  const line = run.input.split('\n')[lineNumber - 1]
  const quoted = line === undefined ? '' : `, at line ${lineNumber}: ${line}`
  const said = run.stderr
    .trim()
    .split('\n')
    .filter((text) => !text.startsWith('# Warning'))
    .join('; ')
  return new CaptureError(
    ExitCode.Environment,
    `${backend} refused the rules (status ${run.status})${quoted}: ${said || 'without a word'}`,
  )
}

function unsupported(message: string): CaptureError {
  return new CaptureError(ExitCode.Environment, message, true)
}
