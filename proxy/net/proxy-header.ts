/** The PROXY protocol's header, by which a connection says whom it stands for (haproxy proxy-protocol.txt, 2). */
import { isIP } from 'node:net'
import type { Address } from './address.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** From `source` to `destination`; both UNKNOWN or LOCAL where they are not of one family. */
export function proxyHeader(version: 'V1' | 'V2', source: Address, destination: Address): Buffer {
  const family = isIP(source.address)
  const known = family !== 0 && family === isIP(destination.address)
  return version === 'V1'
    ? Buffer.from(known ? textFor(family, source, destination) : 'PROXY UNKNOWN\r\n', 'latin1')
    : known
      ? bytesFor(family, source, destination)
      : Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])])
}

function textFor(family: number, source: Address, destination: Address): string {
  const places = `${source.address} ${destination.address} ${source.port} ${destination.port}`
  return `PROXY TCP${family} ${places}\r\n`
}

function bytesFor(family: number, source: Address, destination: Address): Buffer {
  const places = Buffer.concat([
    addressBytes(family, source.address),
    addressBytes(family, destination.address),
    Buffer.from([source.port >> 8, source.port & 255]),
    Buffer.from([destination.port >> 8, destination.port & 255]),
  ])
  const kind = family === 4 ? 0x11 : 0x21
  return Buffer.concat([signature, Buffer.from([0x21, kind, 0, places.length]), places])
}

function addressBytes(family: number, address: string): Buffer {
  if (family === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : [])
  const [before, after] = [groups(head), groups(tail)]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const all = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]))
}
