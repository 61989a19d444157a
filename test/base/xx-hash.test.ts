import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { Hash64, xxHash64 } from '../../proxy/base/xx-hash.ts'

const mask = 0xffff_ffff_ffff_ffffn
const [p1, p2, p3, p4, p5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const

/** The algorithm in the plainest words. */
function plain(bytes: Buffer, seed: bigint): bigint {
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & mask
  const round = (lane: bigint, word: bigint) => (rotate((lane + word * p2) & mask, 31n) * p1) & mask
  let at = 0
  let hash = (seed + p5) & mask
  if (bytes.length >= 32) {
    const lanes = [seed + p1 + p2, seed + p2, seed, seed - p1].map((lane) => lane & mask)
    for (; at + 32 <= bytes.length; at += 32)
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, bytes.readBigUInt64LE(at + 8 * i))
    const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint]
    hash = (rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n)) & mask
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * p1 + p4) & mask
  }
  hash = (hash + BigInt(bytes.length)) & mask
  for (; at + 8 <= bytes.length; at += 8)
    hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * p1 + p4) & mask
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * p1) & mask), 23n) * p2 + p3) & mask
    at += 4
  }
  for (; at < bytes.length; at++)
    hash = (rotate(hash ^ ((BigInt(bytes[at]!) * p5) & mask), 11n) * p1) & mask
  hash = ((hash ^ (hash >> 33n)) * p2) & mask
  hash = ((hash ^ (hash >> 29n)) * p3) & mask
  return hash ^ (hash >> 32n)
}

t.test('published values', async (t) => {
  const hash = new Hash64()
  for (const [text, value] of [
    ['', 'ef46db3751d8e999'],
    ['a', 'd24ec4f1a98c6e5b'],
    ['abc', '44bc2cf5ad770999'],
  ] as const) {
    xxHash64(text, hash)
    t.equal(hash.toString(), value, text)
  }
})

t.test('texts of every length hash as the plain algorithm says', async (t) => {
  const random = new Random(4)
  const hash = new Hash64()
  const wrong: string[] = []
  for (let i = 0; i < 3000; i++) {
    const bytes = Buffer.from(Array.from({ length: i % 150 }, () => random.below(256)))
    const seed = i % 3 === 0 ? random.bits() : i % 3
    xxHash64(bytes.toString('latin1'), hash, seed)
    const wanted = plain(bytes, BigInt(seed)).toString(16).padStart(16, '0')
    if (hash.toString() !== wanted) wrong.push(`${bytes.toString('hex')}: ${hash}, not ${wanted}`)
  }
  t.same(wrong, [], '3000 texts')
})

t.test('the remainder is that of the whole number', async (t) => {
  const random = new Random(5)
  const hash = new Hash64()
  const wrong: string[] = []
  for (let i = 0; i < 1000; i++) {
    hash.high = random.bits()
    hash.low = random.bits()
    const by = 1 + random.below(5_000_011)
    const wanted = ((BigInt(hash.high) << 32n) | BigInt(hash.low)) % BigInt(by)
    const found = hash.remainder(by)
    if (found !== Number(wanted)) wrong.push(`${hash} by ${by}: ${found}, not ${wanted}`)
  }
  t.same(wrong, [], '1000 numbers')
})
