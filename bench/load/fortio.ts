/** Open-loop load with fortio: a fixed rate, so that what waits is counted as waiting. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loadCore, pinned } from '../program.ts'
import { needTool } from '../tools.ts'

const run = promisify(execFile)

export const percentiles = [50, 90, 99, 99.9] as const

export interface Pace {
  readonly port: number
  readonly path: string
  readonly host: string
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
}

export interface Paced {
  readonly achievedPerSecond: number
  /** Percentile to microseconds. */
  readonly latency: ReadonlyMap<number, number>
}

export async function paceWithFortio(pace: Pace, folder: string): Promise<Paced> {
  const file = join(folder, 'fortio.json')
  const argv = pinned(loadCore, [
    ...[needTool('fortio'), 'load', '-quiet', '-nocatchup', '-uniform', '-json', file],
    ...['-qps', String(pace.perSecond), '-c', String(pace.connections), '-t', `${pace.seconds}s`],
    ...['-p', percentiles.join(','), '-r', '0.000001', '-H', `Host: ${pace.host}`],
    `http://127.0.0.1:${pace.port}${pace.path}`,
  ])
  await run(argv[0]!, argv.slice(1))
  const report: Report = JSON.parse(readFileSync(file, 'utf8'))
  const failed = Object.entries(report.RetCodes).filter(([status]) => status !== '200')
  if (failed.length > 0) throw new Error(`fortio: replies ${JSON.stringify(report.RetCodes)}`)
  return {
    achievedPerSecond: report.ActualQPS,
    latency: new Map(
      report.DurationHistogram.Percentiles.map((each) => [each.Percentile, each.Value * 1e6]),
    ),
  }
}

interface Report {
  readonly ActualQPS: number
  readonly RetCodes: Readonly<Record<string, number>>
  readonly DurationHistogram: {
    readonly Percentiles: readonly { readonly Percentile: number; readonly Value: number }[]
  }
}
