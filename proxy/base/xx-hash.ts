/**
 * XXH64 of a text, as Envoy hashes keys and endpoints: a key that Envoy would send to one Pod goes to
 * the same Pod here. In 32-bit halves, as JavaScript has no fast 64-bit integers.
 */

/** An unsigned 64-bit number. */
export class Hash64 {
  high = 0
  low = 0

  /** What is left of it after division. `by` is below 2^23. */
  remainder(by: number): number {
    return ((this.high % by) * (0x1_0000_0000 % by) + (this.low % by)) % by
  }

  toString(): string {
    return this.high.toString(16).padStart(8, '0') + this.low.toString(16).padStart(8, '0')
  }
}

// The five primes of the algorithm, halved.
const p1High = 0x9e3779b1
const p1Low = 0x85ebca87
const p2High = 0xc2b2ae3d
const p2Low = 0x27d4eb4f
const p3High = 0x165667b1
const p3Low = 0x9e3779f9
const p4High = 0x85ebca77
const p4Low = 0xc2b2ae63
const p5High = 0x27d4eb2f
const p5Low = 0x165667c5

/** The number being worked on; hashing never yields in between. */
let high = 0
let low = 0

function add(addedHigh: number, addedLow: number): void {
  const sum = low + addedLow
  high = (high + addedHigh + (sum > 0xffffffff ? 1 : 0)) >>> 0
  low = sum >>> 0
}

function xor(otherHigh: number, otherLow: number): void {
  high = (high ^ otherHigh) >>> 0
  low = (low ^ otherLow) >>> 0
}

function multiply(byHigh: number, byLow: number): void {
  const a = low >>> 16
  const b = low & 0xffff
  const c = byLow >>> 16
  const d = byLow & 0xffff
  const crossed = a * d + ((b * d) >>> 16)
  const middle = (crossed % 0x10000) + b * c
  const carried = a * c + Math.floor(crossed / 0x10000) + Math.floor(middle / 0x10000)
  high = (carried + Math.imul(high, byLow) + Math.imul(low, byHigh)) >>> 0
  low = Math.imul(low, byLow) >>> 0
}

/** By 1 to 31 bits. */
function rotate(bits: number): void {
  const wasHigh = high
  high = ((high << bits) | (low >>> (32 - bits))) >>> 0
  low = ((low << bits) | (wasHigh >>> (32 - bits))) >>> 0
}

function wordAt(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) & 255) |
      ((text.charCodeAt(at + 1) & 255) << 8) |
      ((text.charCodeAt(at + 2) & 255) << 16) |
      ((text.charCodeAt(at + 3) & 255) << 24)) >>>
    0
  )
}

/** Takes eight bytes into the number: one lane's round. */
function round(wordHigh: number, wordLow: number): void {
  const laneHigh = high
  const laneLow = low
  high = wordHigh
  low = wordLow
  multiply(p2High, p2Low)
  add(laneHigh, laneLow)
  rotate(31)
  multiply(p1High, p1Low)
}

/** `round` of zero with eight bytes, mixed into the number. */
function mix(wordHigh: number, wordLow: number): void {
  const beforeHigh = high
  const beforeLow = low
  high = 0
  low = 0
  round(wordHigh, wordLow)
  xor(beforeHigh, beforeLow)
}

const laneHighs = new Uint32Array(4)
const laneLows = new Uint32Array(4)
const laneTurns = [1, 7, 12, 18] as const

function setLane(lane: number): void {
  laneHighs[lane] = high
  laneLows[lane] = low
}

function getLane(lane: number): void {
  high = laneHighs[lane]!
  low = laneLows[lane]!
}

/** Texts of 32 bytes and more, four lanes at a time; gives how much was read. */
function stripes(text: string, seed: number): number {
  for (let lane = 0; lane < 4; lane++) {
    high = 0
    low = seed
    if (lane === 0) add(p1High, p1Low)
    if (lane <= 1) add(p2High, p2Low)
    // Minus the first prime.
    if (lane === 3) add(~p1High >>> 0, -p1Low >>> 0)
    setLane(lane)
  }
  let at = 0
  for (; at + 32 <= text.length; at += 32)
    for (let lane = 0; lane < 4; lane++) {
      getLane(lane)
      round(wordAt(text, at + 8 * lane + 4), wordAt(text, at + 8 * lane))
      setLane(lane)
    }
  let sumHigh = 0
  let sumLow = 0
  for (let lane = 0; lane < 4; lane++) {
    getLane(lane)
    rotate(laneTurns[lane]!)
    add(sumHigh, sumLow)
    sumHigh = high
    sumLow = low
  }
  for (let lane = 0; lane < 4; lane++) {
    mix(laneHighs[lane]!, laneLows[lane]!)
    multiply(p1High, p1Low)
    add(p4High, p4Low)
  }
  return at
}

/** Hashes the bytes of `text` (one per character) into `into`. `seed`: 32 bits. */
export function xxHash64(text: string, into: Hash64, seed = 0): void {
  const { length } = text
  let at = 0
  if (length >= 32) at = stripes(text, seed)
  else {
    high = 0
    low = seed
    add(p5High, p5Low)
  }
  add(0, length)
  for (; at + 8 <= length; at += 8) {
    mix(wordAt(text, at + 4), wordAt(text, at))
    rotate(27)
    multiply(p1High, p1Low)
    add(p4High, p4Low)
  }
  if (at + 4 <= length) {
    xorProduct(wordAt(text, at), p1High, p1Low)
    rotate(23)
    multiply(p2High, p2Low)
    add(p3High, p3Low)
    at += 4
  }
  for (; at < length; at++) {
    xorProduct(text.charCodeAt(at) & 255, p5High, p5Low)
    rotate(11)
    multiply(p1High, p1Low)
  }
  avalanche()
  into.high = high
  into.low = low
}

function xorProduct(word: number, primeHigh: number, primeLow: number): void {
  const beforeHigh = high
  const beforeLow = low
  high = 0
  low = word
  multiply(primeHigh, primeLow)
  xor(beforeHigh, beforeLow)
}

function avalanche(): void {
  xor(0, high >>> 1)
  multiply(p2High, p2Low)
  xor(high >>> 29, ((high << 3) | (low >>> 29)) >>> 0)
  multiply(p3High, p3Low)
  xor(0, high)
}
