/**
 * Values written once into memory that all threads share, and read by whichever thread needs one: a
 * configuration of a hundred thousand endpoints exists once, however many workers there are. What JSON
 * cannot say does not pass; undefined fields are absent on the other side. (v8.serialize says more, but
 * leaves a block of malloc's memory behind for each value: 90 MB for those endpoints.)
 */

/** Where a part lies: number of its chunk times the size of chunks, plus its offset. */
export type Place = number

export interface Chunk {
  readonly id: number
  readonly memory: SharedArrayBuffer
}

const chunkBits = 20
const chunkBytes = 1 << chunkBits
/** Each part begins with its length. */
const prefixBytes = 4

interface OwnChunk extends Chunk {
  readonly bytes: Buffer
  used: number
  live: number
}

/** One thread writes. Parts are never changed, only given up; chunks mostly given up are cleared. */
export class PartWriter {
  private readonly known = new Map<number, OwnChunk>()
  private current: OwnChunk | undefined
  private nextId = 0

  get chunks(): Iterable<Chunk> {
    return this.known.values()
  }

  add(value: unknown): Place {
    const text = JSON.stringify(value)
    const length = Buffer.byteLength(text)
    const chunk = this.chunkFor(prefixBytes + length)
    const at = chunk.used
    chunk.bytes.writeUInt32LE(length, at)
    chunk.bytes.write(text, at + prefixBytes)
    chunk.used += prefixBytes + length
    chunk.live += prefixBytes + length
    return chunk.id * chunkBytes + at
  }

  /** Nobody will ask for the part again, once all threads know. */
  drop(place: Place): void {
    const chunk = this.known.get(place >>> chunkBits)!
    chunk.live -= prefixBytes + chunk.bytes.readUInt32LE(place & (chunkBytes - 1))
    if (chunk.live === 0 && chunk !== this.current) this.known.delete(chunk.id)
  }

  /** The part lies in a chunk that is less than half in use: it should be written anew and dropped here. */
  isScattered(place: Place): boolean {
    const chunk = this.known.get(place >>> chunkBits)!
    return chunk !== this.current && chunk.live * 2 < chunk.used
  }

  /** Whether there are such chunks. */
  get scattered(): boolean {
    for (const chunk of this.known.values())
      if (chunk !== this.current && chunk.live * 2 < chunk.used) return true
    return false
  }

  /** Parts larger than a chunk get one of their own, which takes several numbers. */
  private chunkFor(length: number): OwnChunk {
    const { current } = this
    if (current !== undefined && current.used + length <= current.bytes.length) return current
    const memory = new SharedArrayBuffer(Math.max(chunkBytes, length))
    const chunk = { id: this.nextId, memory, bytes: Buffer.from(memory), used: 0, live: 0 }
    this.nextId += Math.ceil(memory.byteLength / chunkBytes)
    this.known.set(chunk.id, chunk)
    if (current?.live === 0) this.known.delete(current.id)
    this.current = chunk
    return chunk
  }
}

/** The other threads' side. Never changes: whoever reads with an older one still finds what it knows. */
export class PartReader {
  private readonly chunks: ReadonlyMap<number, Buffer>

  constructor(chunks: ReadonlyMap<number, Buffer> = new Map()) {
    this.chunks = chunks
  }

  /** With new chunks, and without those not in use any more. */
  after(fresh: readonly Chunk[], inUse: readonly number[]): PartReader {
    const all = new Map(this.chunks)
    for (const { id, memory } of fresh) all.set(id, Buffer.from(memory))
    return new PartReader(new Map(inUse.map((id) => [id, all.get(id)!])))
  }

  read(place: Place): unknown {
    return readPart(this.chunkOf(place), place)
  }

  /** True when the JSON of the part has this text, which stays unread. */
  mentions(place: Place, text: Buffer): boolean {
    const chunk = this.chunkOf(place)
    const at = place & (chunkBytes - 1)
    const from = at + prefixBytes
    return chunk.subarray(from, from + chunk.readUInt32LE(at)).includes(text)
  }

  /** For those who keep it longer than the reader: the chunk that holds the part. */
  chunkOf(place: Place): Buffer {
    return this.chunks.get(place >>> chunkBits)!
  }
}

export function readPart(chunk: Buffer, place: Place): unknown {
  const at = place & (chunkBytes - 1)
  const from = at + prefixBytes
  return JSON.parse(chunk.toString('utf8', from, from + chunk.readUInt32LE(at)))
}
