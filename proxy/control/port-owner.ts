/** Finds which process listens on a TCP port, from /proc: for error messages, so it never throws. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface PortOwner {
  readonly pid: number
  readonly command: string
}

/** Undefined when nobody is found, or when the owner belongs to another user. */
export function findPortOwner(port: number): PortOwner | undefined {
  try {
    const inodes = new Set([
      ...listeningInodes('/proc/net/tcp', port),
      ...listeningInodes('/proc/net/tcp6', port),
    ])
    if (inodes.size === 0) return undefined
    for (const entry of readdirSync('/proc')) {
      const pid = Number(entry)
      if (Number.isInteger(pid) && holdsOne(pid, inodes)) return { pid, command: commandOf(pid) }
    }
  } catch {
    // No /proc: then there is just no name to tell.
  }
  return undefined
}

/** Whether anybody in this network namespace listens on one of these ports. */
export function someoneListens(ports: readonly number[]): boolean {
  return ports.some((port) => {
    return ['/proc/net/tcp', '/proc/net/tcp6'].some(
      (table) => listeningInodes(table, port).length > 0,
    )
  })
}

/** Columns of /proc/net/tcp: 1 is address:port in hex, 3 the state (0A listens), 9 the inode. */
function listeningInodes(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const inodes: string[] = []
  try {
    for (const line of readFileSync(table, 'utf8').split('\n')) {
      const columns = line.trim().split(/\s+/)
      if (columns[3] === '0A' && columns[1]?.endsWith(wanted)) inodes.push(columns[9] ?? '')
    }
  } catch {
    // tcp6 is absent where IPv6 is.
  }
  return inodes
}

function holdsOne(pid: number, inodes: ReadonlySet<string>): boolean {
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
      if (inode !== undefined && inodes.has(inode)) return true
    }
  } catch {
    // Another user's process, or one that has just ended.
  }
  return false
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function commandOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean)
    const text = words.join(' ')
    return text.length > 80 ? `${text.slice(0, 77)}...` : text
  } catch {
    return 'unknown'
  }
}
