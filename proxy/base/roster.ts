/**
 * Who is there now, for owners of many that come and go: like a Set, but each member keeps its place,
 * so that joining and leaving are a few writes (a Set hashes, grows and shrinks: 120 bytes for each
 * that came and went). Hot: bench/micro/exchange.bench.ts.
 */
export interface Member {
  /** The roster's: where in the list it stands; -1 in none. */
  place: number
}

export class Roster<T extends Member> {
  private readonly members: T[] = []

  get size(): number {
    return this.members.length
  }

  add(one: T): void {
    if (one.place < 0) one.place = this.members.push(one) - 1
  }

  delete(one: T): void {
    const { place } = one
    if (place < 0) return
    one.place = -1
    const last = this.members.pop()!
    if (last === one) return
    this.members[place] = last
    last.place = place
  }

  /** Those that are there now: whoever leaves meanwhile disturbs nobody. */
  [Symbol.iterator](): Iterator<T> {
    return [...this.members][Symbol.iterator]()
  }
}
