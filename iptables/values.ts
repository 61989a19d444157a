/** Reads the values of capture options from text: lists of ports, prefixes, ids, interfaces. */
import { isIP, SocketAddress } from 'node:net'

/** A value that cannot be taken; the message says what is wrong with it and what would be right. */
export class InvalidValue extends Error {}

/** One port, or an inclusive range of ports. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

export type Everything = '*'

/** Blank text is an empty list; an empty element (`80,,81`) is refused. */
export function readList<T>(text: string, readElement: (element: string) => T): T[] {
  if (text.trim() === '') return []
  return text.split(',').map((element) => {
    const trimmed = element.trim()
    if (trimmed === '') throw new InvalidValue('empty element: remove the extra comma')
    return readElement(trimmed)
  })
}

export function readAllOrList<T>(
  text: string,
  readElement: (element: string) => T,
): Everything | T[] {
  return text.trim() === '*' ? '*' : readList(text, readElement)
}

function readNumber(text: string, what: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw new InvalidValue(`'${text}' is no ${what}: a number from ${least} to ${most} is expected`)
}

export function readPort(text: string): number {
  return readNumber(text.trim(), 'port', 1, 65535)
}

export function readPortRange(text: string): PortRange {
  if (text === '*') throw new InvalidValue("'*' is not possible here: ports must be listed")
  const [first = '', last, ...more] = text.split('-').map((part) => part.trim())
  if (more.length > 0) throw new InvalidValue(`'${text}' is no range of ports: write 8000-8010`)
  const range = { first: readPort(first), last: readPort(last ?? first) }
  if (range.first <= range.last) return range
  throw new InvalidValue(`'${text}' ends before it begins: write ${range.last}-${range.first}`)
}

/** Owner matches take numbers only: a name would ask the system's name services, even remote ones. */
export function readId(text: string): number {
  if (!/^\d+$/.test(text))
    throw new InvalidValue(`'${text}' is no numeric id: write the number that 'id' prints`)
  return readNumber(text, 'id', 0, 4294967294)
}

export function readProxyId(text: string): number {
  const id = readId(text)
  if (id !== 0) return id
  throw new InvalidValue('0 (root) cannot be exempt: every root process would bypass the proxy')
}

export function readInterface(text: string): string {
  if (Buffer.byteLength(text) > 15) throw new InvalidValue(`'${text}' is longer than 15 bytes`)
  if (/^[A-Za-z0-9_.:@-]+\+?$/.test(text) && !text.startsWith('-')) return text
  throw new InvalidValue(`'${text}' is no interface name`)
}

export function readAddress(text: string): string {
  const family = isIP(text)
  if (family === 0) throw new InvalidValue(`'${text}' is no IP address`)
  if (text.includes('%')) throw new InvalidValue(`'${text}' names a zone: leave it out`)
  if (family === 4) return text
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  if (!address.startsWith('::ffff:')) return address
  throw new InvalidValue(`'${text}' is IPv4 in IPv6: write the IPv4 address`)
}

/** A prefix in canonical text; a plain address counts as one of full length. */
export function readCidr(text: string): string {
  if (text === '*') throw new InvalidValue("'*' is not possible here: prefixes must be listed")
  const [host = '', length, ...more] = text.split('/')
  if (more.length > 0) throw new InvalidValue(`'${text}' is no prefix: write 10.0.0.0/8`)
  const address = readAddress(host.trim())
  const width = address.includes(':') ? 128 : 32
  const bits = length === undefined ? width : readNumber(length.trim(), 'prefix length', 0, width)
  const value = addressBits(address)
  const base = (value >> BigInt(width - bits)) << BigInt(width - bits)
  if (base === value) return `${address}/${bits}`
  const network = readAddress(addressText(base, width))
  throw new InvalidValue(
    `'${text}' has bits set beyond its length: write ${network}/${bits}, or ${address}/${width} for the one address`,
  )
}

export function isIpv6(addressOrCidr: string): boolean {
  return addressOrCidr.includes(':')
}

export function readFlag(text: string): boolean {
  const word = text.trim().toLowerCase()
  if (['true', '1', 'yes', 'on', ''].includes(word)) return true
  if (['false', '0', 'no', 'off'].includes(word)) return false
  throw new InvalidValue(`'${text}' is neither true nor false`)
}

/** One word of a closed set, whatever its case. */
export function readWord<W extends string>(text: string, words: readonly W[]): W {
  const word = text.trim().toLowerCase()
  const found = words.find((candidate) => candidate === word)
  if (found !== undefined) return found
  throw new InvalidValue(`'${text}' is unknown: one of ${words.join(', ')} is expected`)
}

function addressBits(address: string): bigint {
  if (!address.includes(':'))
    return address.split('.').reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n)
  return ipv6Groups(address).reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

/** Eight groups of hex digits; the canonical text holds at most one `::` and perhaps a dotted tail. */
function ipv6Groups(address: string): string[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  if (dotted) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(2).map(Number)
    return ipv6Groups(`${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`)
  }
  const [head = '', tail] = address.split('::')
  const left = head.split(':').filter((group) => group !== '')
  if (tail === undefined) return left
  const right = tail.split(':').filter((group) => group !== '')
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
}

function addressText(bits: bigint, width: number): string {
  const [size, radix] = width === 32 ? [8n, 10] : [16n, 16]
  const parts: string[] = []
  for (let shift = BigInt(width) - size; shift >= 0n; shift -= size)
    parts.push(((bits >> shift) & ((1n << size) - 1n)).toString(radix))
  return parts.join(width === 32 ? '.' : ':')
}
