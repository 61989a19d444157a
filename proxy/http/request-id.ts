/**
 * Request ids: random UUIDs (RFC 9562, version 4), written out in blocks. crypto.randomUUID leaves 600
 * bytes of small strings to the collector for each, this 36 and a slice. Hot:
 * bench/micro/request-id.bench.ts.
 */
import { latin1 } from '../base/bytes.ts'

const idsPerBlock = 256
const idLength = 36
const random = new Uint8Array(16 * idsPerBlock)
/** The dashes stay, the digits between them change. */
const letters = Buffer.alloc(idLength * idsPerBlock, '-')
const digits = '0123456789abcdef'
const high = Uint8Array.from({ length: 256 }, (_, byte) => digits.charCodeAt(byte >> 4))
const low = Uint8Array.from({ length: 256 }, (_, byte) => digits.charCodeAt(byte & 15))

let block = ''
let used = idsPerBlock

export function requestId(): string {
  if (used === idsPerBlock) refill()
  const start = used++ * idLength
  return block.substring(start, start + idLength)
}

function refill(): void {
  crypto.getRandomValues(random)
  for (let id = 0; id < idsPerBlock; id++) {
    const from = id * 16
    const to = id * idLength
    // RFC 9562 5.4: version 4, variant 10.
    random[from + 6] = (random[from + 6]! & 0x0f) | 0x40
    random[from + 8] = (random[from + 8]! & 0x3f) | 0x80
    writeGroup(from, 4, to)
    writeGroup(from + 4, 2, to + 9)
    writeGroup(from + 6, 2, to + 14)
    writeGroup(from + 8, 2, to + 19)
    writeGroup(from + 10, 6, to + 24)
  }
  block = latin1(letters, 0, letters.length)
  used = 0
}

function writeGroup(from: number, count: number, to: number): void {
  for (let i = 0; i < count; i++) {
    const byte = random[from + i]!
    letters[to + 2 * i] = high[byte]!
    letters[to + 2 * i + 1] = low[byte]!
  }
}
