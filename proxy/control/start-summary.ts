/** What a person wants to see when the proxy starts: who it is, where it listens, what it follows. */
import type { Severity } from '../../config/resource.ts'
import type { WorkloadSpec } from '../../config/snapshot.ts'
import { formatAddress } from '../net/address.ts'

export interface StartFacts {
  readonly version: string
  readonly workload: WorkloadSpec
  readonly explicit: boolean
  readonly workers: number
  /** Local ports that stand for one service. */
  readonly binds: ReadonlyArray<{
    readonly service: string
    readonly port: number
    readonly listen: { readonly address: string; readonly port: number }
  }>
  /** By purpose, as `address:port`; undefined: not opened. */
  readonly places: {
    readonly outbound: string
    readonly inbound: string | undefined
    readonly admin: string | undefined
    readonly health: string | undefined
    readonly metrics: string | undefined
  }
  readonly folders: readonly string[]
  readonly files: number
  readonly configVersion: string
  readonly generation: number
  readonly services: number
  readonly problems: Readonly<Record<Severity, number>>
  readonly quarantined: readonly string[]
  readonly readyAfterMs: number
}

export function startLines(facts: StartFacts): string {
  const { workload, places } = facts
  const labels = Object.entries(workload.labels).map(([name, value]) => `${name}=${value}`)
  const seconds = (facts.readyAfterMs / 1_000).toFixed(2)
  const rows: Array<readonly [string, string]> = [
    [
      'workload',
      `${workload.namespace}/${workload.name} (${labels.join(',') || 'no labels'}) at ${workload.addresses.join(', ') || 'no address'}`,
    ],
    [
      'mode',
      facts.explicit
        ? `explicit: call services through http://${places.outbound} (Host, http_proxy or CONNECT)`
        : 'captured: connections redirected by iptables',
    ],
    [
      'traffic',
      joined([
        `outbound ${places.outbound}`,
        places.inbound && `inbound ${places.inbound}`,
        counted(facts.workers, 'worker'),
      ]),
    ],
    [
      'pages',
      joined([
        places.admin && `http://${places.admin}/`,
        places.health && `http://${places.health}/healthz/ready`,
        places.metrics && `http://${places.metrics}/stats/prometheus`,
      ]) || 'none',
    ],
    [
      'config',
      `${facts.folders.join(', ')} (${counted(facts.files, 'file')}), version ${facts.configVersion}, generation ${facts.generation}`,
    ],
    ['content', content(facts)],
  ]
  for (const { service, port, listen } of facts.binds)
    rows.push(['bind', `${formatAddress(listen)} is ${service}:${port}`])
  const lines = rows.map(([name, text]) => `  ${name.padEnd(9)} ${text}`)
  return `Outrider ${facts.version} is ready after ${seconds} s\n${lines.join('\n')}\n`
}

function content({ services, problems, quarantined, places }: StartFacts): string {
  const found = [
    problems.error > 0 && counted(problems.error, 'error'),
    problems.warning > 0 && counted(problems.warning, 'warning'),
  ]
  const told = joined(found) || 'no problems'
  const where =
    told === 'no problems' || places.admin === undefined ? '' : ` (http://${places.admin}/problems)`
  const kept = quarantined.length === 0 ? '' : `; left out: ${quarantined.join(', ')}`
  return `${counted(services, 'service')}, ${told}${where}${kept}`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function joined(parts: ReadonlyArray<string | false | undefined>): string {
  return parts.filter((part) => part !== false && part !== undefined && part !== '').join(', ')
}
