/** Finds and runs the programs that change firewall rules, on this machine or in a namespace of it. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** What a program answered. */
export interface ToolRun {
  readonly argv: readonly string[]
  readonly input: string
  /** Null when a signal ended it or it could not start. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ToolOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** The place whose rules are read and changed: one network namespace. */
export interface Machine {
  has(tool: string): boolean
  /** Runs to the end, whatever the status; never rejects. */
  run(argv: readonly string[], options?: ToolOptions): Promise<ToolRun>
  /** Undefined when it cannot be read. */
  readText(path: string): Promise<string | undefined>
}

/** The network namespace of this process. */
export const ownMachine: Machine = {
  has: (tool) => findTool(tool) !== undefined,
  run: runTool,
  readText: (path) => readFile(path, 'utf8').catch(() => undefined),
}

/** A namespace entered by a prefix to every command (`ip netns exec NAME`); files of /proc included. */
export function machineThrough(enter: (argv: readonly string[]) => readonly string[]): Machine {
  return {
    has: ownMachine.has,
    run: (argv, options) => runTool(enter(argv), options),
    readText: async (path) => {
      const { status, stdout } = await runTool(enter(['cat', path]))
      return status === 0 ? stdout : undefined
    },
  }
}

/** Where a program lies in PATH or the usual places for system programs. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<ToolRun> {
  const { input = '', env = {} } = options
  const [name = '', ...rest] = argv
  return new Promise((done) => {
    const child = spawn(findTool(name) ?? name, rest, {
      env: { ...process.env, LC_ALL: 'C', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', (error) => done({ argv, input, status: null, stdout, stderr: error.message }))
    child.on('close', (status) => done({ argv, input, status, stdout, stderr }))
    child.stdin.on('error', () => undefined) // it may end without reading
    child.stdin.end(input)
  })
}
