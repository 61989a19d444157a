/** What the machine says when nobody did: CPUs of the cgroup, addresses, labels of the downward API. */
import { readFileSync } from 'node:fs'
import { availableParallelism, networkInterfaces } from 'node:os'

/** Returns undefined for a file that cannot be read. */
export type ReadText = (path: string) => string | undefined

/** What is asked only when nobody said it. */
export interface Machine {
  readonly readText: ReadText
  /** Of the workload, primary first. */
  readonly addresses: () => readonly string[]
  /** CPUs that exist. */
  readonly cpus: number
}

export const thisMachine: Machine = {
  readText: (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  },
  addresses: machineAddresses,
  cpus: availableParallelism(),
}

export const labelsFile = '/etc/istio/pod/labels'

/** CPUs that the cgroup allows, rounded up; all CPUs where it sets no limit. */
export function cgroupCpus(readText: ReadText, cpus: number): number {
  const limit = unifiedLimit(readText) ?? firstVersionLimit(readText)
  if (limit === undefined) return cpus
  return Math.max(1, Math.min(cpus, Math.ceil(limit)))
}

/** cgroup v2: the tightest `cpu.max` between the process' own group and the root. */
function unifiedLimit(readText: ReadText): number | undefined {
  const own = /^0::(.*)$/m.exec(readText('/proc/self/cgroup') ?? '')?.[1] ?? '/'
  const parts = own.split('/').filter((part) => part !== '' && part !== '..')
  let tightest: number | undefined
  for (let depth = parts.length; depth >= 0; depth--) {
    const path = ['/sys/fs/cgroup', ...parts.slice(0, depth), 'cpu.max'].join('/')
    const [quota, period] = (readText(path) ?? 'max').trim().split(/\s+/).map(Number)
    if (quota === undefined || Number.isNaN(quota)) continue
    tightest = Math.min(tightest ?? Number.POSITIVE_INFINITY, quota / (period || 100_000))
  }
  return tightest
}

function firstVersionLimit(readText: ReadText): number | undefined {
  for (const folder of ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct']) {
    const quota = Number(readText(`${folder}/cpu.cfs_quota_us`))
    const period = Number(readText(`${folder}/cpu.cfs_period_us`))
    if (quota > 0 && period > 0) return quota / period
  }
  return undefined
}

/** Of this machine, without loopback and link-local ones, IPv4 first. */
function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const usable = all.filter(
    ({ internal, address }) => !internal && !/^(fe80|169\.254)/i.test(address),
  )
  const ofFamily = (wanted: string) =>
    usable.filter(({ family }) => family === wanted).map(({ address }) => address)
  return [...ofFamily('IPv4'), ...ofFamily('IPv6')]
}

/** The downward API's form: `app="reviews"` per line, the value quoted as in Go. */
export function parseLabelsFile(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=')
    if (equals <= 0) continue
    const value = line.slice(equals + 1).trim()
    labels[line.slice(0, equals).trim()] = value.startsWith('"') ? unquote(value) : value
  }
  return labels
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text))
  } catch {
    return text.slice(1, text.endsWith('"') ? -1 : undefined)
  }
}
