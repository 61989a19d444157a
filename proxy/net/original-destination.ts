/**
 * Where a captured connection was going before the kernel sent it to the proxy: SO_ORIGINAL_DST, which
 * Node cannot ask for. One of two places that call the C library, through koffi (control/resting-memory.ts).
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { type Address, canonicalAddress, sameAddress } from './address.ts'

/** From <linux/in.h>, <linux/netfilter_ipv4.h> and <linux/netfilter_ipv6/ip6_tables.h>. */
const level = { ipv4: 0, ipv6: 41 } as const
const originalDestinationOption = 80
const sockaddrBytes = { ipv4: 16, ipv6: 28 } as const

type GetSocketOption = (
  fd: number,
  level: number,
  name: number,
  value: Buffer,
  length: Buffer,
) => number

/** Reused by every call: nothing is allocated for the answer but its text. */
const answer = Buffer.alloc(sockaddrBytes.ipv6)
const answerLength = Buffer.alloc(4)

let getSocketOption: GetSocketOption | undefined
let obstacle: string | undefined

/** Loads the C library at the first call. */
function load(): GetSocketOption | undefined {
  if (getSocketOption !== undefined || obstacle !== undefined) return getSocketOption
  if (process.platform !== 'linux') {
    obstacle = `capture works on Linux only, this is ${process.platform}`
    return undefined
  }
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    getSocketOption = koffi
      .load(null)
      .func(
        'int getsockopt(int fd, int level, int name, void *value, void *length)',
      ) as GetSocketOption
  } catch (error) {
    const cause = error instanceof Error ? error.message.split('\n')[0] : String(error)
    obstacle =
      `cannot read original destinations, native addon unavailable: ${cause}. ` +
      'Install the package with its optional binaries (koffi), and run Node without --no-addons'
  }
  return getSocketOption
}

/** Why original destinations cannot be read in this process; undefined when they can. Ask at start-up. */
export function originalDestinationUnavailable(): string | undefined {
  load()
  return obstacle
}

interface WithHandle {
  readonly _handle: { readonly fd?: number } | null
}

/**
 * The destination the client chose. For a connection that was not captured it is the socket's own local
 * address (refuse those: see `loopsBack`), or undefined where the kernel tracks no connections. Call it
 * when the connection is accepted, before the socket's handle moves on.
 */
export function originalDestination(socket: Socket): Address | undefined {
  const fd = (socket as unknown as WithHandle)._handle?.fd ?? -1
  return originalDestinationOf(fd, socket.localAddress)
}

/** The same for the descriptor of a connection that was accepted at the address `local`. */
export function originalDestinationOf(fd: number, local: string | undefined): Address | undefined {
  const ask = getSocketOption ?? load()
  if (ask === undefined || fd < 0) return undefined
  // The local address decides: the remote one is unknown once the client has reset the connection.
  const native = local?.includes(':') === true && !local.startsWith('::ffff:')
  const bytes = native ? sockaddrBytes.ipv6 : sockaddrBytes.ipv4
  answerLength.writeUInt32LE(bytes)
  const status = ask(
    fd,
    native ? level.ipv6 : level.ipv4,
    originalDestinationOption,
    answer,
    answerLength,
  )
  if (status !== 0) return undefined
  return { address: native ? ipv6Text() : ipv4Text(), port: answer.readUInt16BE(2) }
}

/**
 * True when forwarding to `original` would come back to the proxy: someone called its port directly, or
 * a captured inbound connection, always addressed to this workload, names one of the proxy's own ports.
 */
export function loopsBack(
  original: Address,
  local: Address,
  direction: 'inbound' | 'outbound',
  proxyPorts: ReadonlySet<number>,
): boolean {
  if (sameAddress(original, local)) return true
  return direction === 'inbound' && proxyPorts.has(original.port)
}

/** struct sockaddr_in: the address at byte 4. */
function ipv4Text(): string {
  return `${answer[4]}.${answer[5]}.${answer[6]}.${answer[7]}`
}

/** struct sockaddr_in6: the address at byte 8, in eight groups, the longest run of zeros as `::`. */
function ipv6Text(): string {
  return canonicalAddress(formatIpv6(answer.subarray(8, 24)))
}

/** Canonical text (RFC 5952) of 16 bytes. */
export function formatIpv6(bytes: Uint8Array): string {
  let [start, length] = [-1, 1]
  for (let group = 0, run = 0; group < 8; group++) {
    run = bytes[group * 2] === 0 && bytes[group * 2 + 1] === 0 ? run + 1 : 0
    if (run > length) [start, length] = [group - run + 1, run]
  }
  let text = ''
  for (let group = 0; group < 8; group++) {
    if (group === start) {
      text += '::'
      group += length - 1
      continue
    }
    if (text !== '' && !text.endsWith('::')) text += ':'
    text += ((bytes[group * 2]! << 8) | bytes[group * 2 + 1]!).toString(16)
  }
  return text
}
