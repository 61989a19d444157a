/** Says where and on what a bench ran, so that two results are compared only when they may be. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join, resolve } from 'node:path'

export const projectRoot = resolve(import.meta.dirname, '..')

export interface Machine {
  readonly when: string
  readonly commit: string
  readonly cpu: string
  readonly cpus: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly loadAtStart: number
  /** Name to version; absent peers have none. */
  readonly peers: Readonly<Record<string, string>>
}

export function describeMachine(peers: Readonly<Record<string, string>>): Machine {
  return {
    when: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    loadAtStart: loadavg()[0] ?? 0,
    peers,
  }
}

function commit(): string {
  const git = (...args: string[]) =>
    spawnSync('git', args, { cwd: projectRoot, encoding: 'utf8' }).stdout?.trim() ?? ''
  const changed = git('status', '--porcelain', '--', 'proxy', 'config') !== ''
  return `${git('rev-parse', '--short', 'HEAD') || 'unknown'}${changed ? ' with changes' : ''}`
}

export function outriderVersion(): string {
  return JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')).version
}
