/** Finds the programs a bench needs, on PATH and where the project's peers are installed, and their versions. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

const peersHome = process.env['OUTRIDER_PEERS'] ?? '/opt/outrider-peers'
const places = [
  ...(process.env['PATH'] ?? '').split(':'),
  join(peersHome, 'bin'),
  ...['/usr/local/sbin', '/usr/sbin', '/sbin'],
]

/** The path of a program, or undefined when this machine lacks it. */
export function findTool(name: string): string | undefined {
  return places.map((folder) => join(folder, name)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The path of a program without which nothing can be measured. */
export function needTool(name: string): string {
  const path = findTool(name)
  if (path === undefined)
    throw new Error(`${name} is not on this machine: install it or add its folder to PATH`)
  return path
}

/** The first thing that looks like a version in what the program says of itself. */
export function versionOf(path: string, ...flags: string[]): string {
  const { stdout, stderr } = spawnSync(path, flags, { encoding: 'utf8', timeout: 10_000 })
  return /\d+\.\d+(\.\d+)?[-\w]*/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}
