/** A transport address; `address` is canonical text (IPv4-mapped IPv6 as IPv4), or a unix socket path with port 0. */
export interface Address {
  readonly address: string
  readonly port: number
}

const slots = 1024
/** Addresses of connections are the same objects for each of their requests: texts kept by object. */
const asked: Array<Address | undefined> = new Array(slots).fill(undefined)
const texts: string[] = new Array(slots).fill('')

/** `10.0.0.7:80`, `[fd00::7]:80`, or the path of a unix socket. */
export function formatAddress(a: Address): string {
  const slot = a.port & (slots - 1)
  if (asked[slot] === a) return texts[slot]!
  const text = spell(a)
  asked[slot] = a
  texts[slot] = text
  return text
}

/** `` for the nameless end of a connection to a unix socket. */
function spell(a: Address): string {
  if (a.address === '') return ''
  if (a.address.startsWith('/') || a.address.startsWith('@')) return a.address
  return a.address.includes(':') ? `[${a.address}]:${a.port}` : `${a.address}:${a.port}`
}

/** IPv4-mapped IPv6 (`::ffff:10.0.0.7`) as IPv4; everything else unchanged. */
export function canonicalAddress(text: string): string {
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.address === b.address
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

/** `Reviews:9080` as `reviews`, `[fd00::7]:80` as `fd00::7`. */
export function hostOf(authority: string): string {
  return authority
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
}
