/**
 * RE2's GlobalReplace: every leftmost hit is replaced, but no empty one right behind another. Runs all
 * alternatives side by side (Pike's machine), and counts what that costs; re2js is the plain twin.
 */
import {
  assertionsAt,
  Beside,
  besideOf,
  type Instruction,
  Op,
  RegexProgram,
  regexWork,
  takes,
} from './regex.ts'

/** Where groups begin and end: `2n` and `2n + 1` of group n; -1 where it took no part. */
type Groups = Int32Array

/** Alternatives in the order of their preference. */
class Threads {
  readonly places: number[] = []
  readonly groups: Groups[] = []
  private readonly seen: Uint32Array
  private walk = 1

  constructor(places: number) {
    this.seen = new Uint32Array(places)
  }

  clear(): void {
    this.places.length = 0
    this.groups.length = 0
    this.walk++
  }

  /** True when it was not there yet. */
  visit(place: number): boolean {
    if (this.seen[place] === this.walk) return false
    this.seen[place] = this.walk
    return true
  }
}

export class RegexReplacer {
  private readonly program: RegexProgram
  private readonly instructions: readonly Instruction[]
  /** Texts, and numbers of groups. */
  private readonly parts: ReadonlyArray<string | number>
  private now: Threads
  private coming: Threads
  private readonly slots: number

  /** `parts`: what replaces a hit. */
  constructor(pattern: string, parts: ReadonlyArray<string | number>) {
    this.program = new RegexProgram(pattern)
    this.instructions = this.program.instructions
    this.parts = parts
    this.now = new Threads(this.instructions.length)
    this.coming = new Threads(this.instructions.length)
    this.slots = 2 * (this.program.groups + 1)
  }

  /** Undefined when the request's work is used up (`regexWork.gaveUp`). */
  replaceAll(text: string): string | undefined {
    let changed = ''
    let copied = 0
    let from = 0
    let lastEnd = -1
    while (from <= text.length) {
      const hit = this.search(text, from)
      if (regexWork.gaveUp !== '') return undefined
      if (hit === undefined) break
      const start = hit[0]!
      const end = hit[1]!
      if (start !== end || start !== lastEnd) {
        changed += text.slice(copied, start) + this.replacement(text, hit)
        copied = end
      }
      lastEnd = end
      from = end > start ? end : end + 1
    }
    return changed + text.slice(copied)
  }

  private replacement(text: string, hit: Groups): string {
    let made = ''
    for (const part of this.parts) {
      if (typeof part === 'string') made += part
      else if (2 * part < hit.length && hit[2 * part]! >= 0)
        made += text.slice(hit[2 * part]!, hit[2 * part + 1]!)
    }
    return made
  }

  /** The leftmost hit from `from` on; of those the one that the expression prefers. */
  private search(text: string, from: number): Groups | undefined {
    let hit: Groups | undefined
    this.now.clear()
    for (let at = from; ; at++) {
      if (hit === undefined) this.add(this.now, text, at, this.program.start, this.noGroups())
      if (this.now.places.length === 0 && hit !== undefined) return hit
      hit = this.step(text, at) ?? hit
      if (regexWork.left < 0) {
        regexWork.gaveUp = this.program.pattern
        return undefined
      }
      if (at >= text.length) return hit
    }
  }

  private noGroups(): Groups {
    return new Int32Array(this.slots).fill(-1)
  }

  /** Every thread takes the character at `at`; a hit ends those that are less preferred. */
  private step(text: string, at: number): Groups | undefined {
    const { coming, now } = this
    coming.clear()
    let hit: Groups | undefined
    const code = at < text.length ? text.charCodeAt(at) : -1
    for (let i = 0; i < now.places.length && hit === undefined; i++) {
      const instruction = this.instructions[now.places[i]!]!
      const groups = now.groups[i]!
      regexWork.left--
      if (instruction.op === Op.Match) {
        hit = groups.slice()
        hit[1] = at
      } else if (code >= 0 && takes(instruction, code))
        this.add(coming, text, at + 1, instruction.out, groups)
    }
    this.now = coming
    this.coming = now
    return hit
  }

  /** Adds what can be stood at from `place` without taking a character. */
  private add(threads: Threads, text: string, at: number, place: number, groups: Groups): void {
    const held = assertionsAt(beside(text, at - 1), beside(text, at))
    const pending: Array<readonly [place: number, groups: Groups]> = [
      [place, startedAt(groups, at)],
    ]
    while (pending.length > 0) {
      const [here, known] = pending.pop()!
      if (!threads.visit(here)) continue
      regexWork.left--
      const { arg, op, out } = this.instructions[here]!
      if (op === Op.Alt || op === Op.AltMatch) pending.push([arg, known], [out, known])
      else if (op === Op.Nop) pending.push([out, known])
      else if (op === Op.Capture) pending.push([out, withGroup(known, arg, at)])
      else if (op === Op.EmptyWidth) {
        if ((arg & ~held) === 0) pending.push([out, known])
      } else if (op !== Op.Fail) {
        threads.places.push(here)
        threads.groups.push(known)
      }
    }
  }
}

function beside(text: string, at: number): Beside {
  return at < 0 || at >= text.length ? Beside.Edge : besideOf(text.charCodeAt(at))
}

/** The whole hit is group 0, which programs do not mark. */
function startedAt(groups: Groups, at: number): Groups {
  return groups[0] === -1 ? withGroup(groups, 0, at) : groups
}

function withGroup(groups: Groups, slot: number, at: number): Groups {
  if (slot >= groups.length || groups[slot] === at) return groups
  const changed = groups.slice()
  changed[slot] = at
  return changed
}
