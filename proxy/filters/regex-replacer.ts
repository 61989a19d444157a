/**
 * RE2's GlobalReplace: every leftmost hit is replaced, but no empty one right behind another. All
 * alternatives run side by side; what a character does to them is worked out once, and kept. Counts
 * what that costs; re2js is the plain twin. Hot where rules rewrite by expressions: bench/micro/routing.bench.ts.
 */
import { assertionsAt, Beside, besideOf, Op, RegexProgram, regexWork, takes } from './regex.ts'
import { CharacterClasses } from './regex-classes.ts'

/** Alternatives in the order of their preference, and what characters make of them. */
class State {
  /** Instructions that take a character; a hit may be the last. */
  readonly places: readonly number[]
  /** The last place is a hit. */
  readonly hits: boolean
  /** Nothing was hit yet: the expression may begin anywhere. */
  readonly seeking: boolean
  /** By class of the character, and what comes behind it; undefined: not asked yet. */
  readonly moves: Array<Move | undefined> = []

  constructor(places: readonly number[], hits: boolean, seeking: boolean) {
    this.places = places
    this.hits = hits
    this.seeking = seeking
  }
}

interface Move {
  readonly to: State
  /** For each place of `to` the one it continues; -1: the expression begins there. */
  readonly from: readonly number[]
  /** For each place of `to` the group slots that are where we are. */
  readonly marks: ReadonlyArray<readonly number[]>
  /** Groups stay as they are. */
  readonly still: boolean
  /** In parts of a step. */
  readonly cost: number
}

const noMarks: readonly number[] = []
/** Of those that a step has. */
const partsPerStep = 16
const stillCost = 2
/** What all states may hold together, in places and slots for moves; about 8 bytes each. */
const keptCells = 250_000

export class RegexReplacer {
  private readonly program: RegexProgram
  private readonly classes: CharacterClasses
  /** What comes behind a character matters: the edge of the text, or also words and lines. */
  private readonly looksAhead: boolean
  private readonly looksAround: boolean
  /** Texts, and numbers of groups. */
  private readonly parts: ReadonlyArray<string | number>
  private states = new Map<string, State>()
  /** By what is before and behind the place of the beginning. */
  private starts: Array<Move | undefined> = []
  private cells = 0
  /** Where groups begin and end, `2n` and `2n + 1` of group n, -1 where they took no part: of each place. */
  private now: Int32Array
  private coming: Int32Array
  /** Of the last hit. */
  private readonly hit: Int32Array
  private readonly slots: number

  /** `parts`: what replaces a hit. */
  constructor(pattern: string, parts: ReadonlyArray<string | number>) {
    this.program = new RegexProgram(pattern)
    const { groups, instructions, looksAround } = this.program
    this.classes = new CharacterClasses(this.program)
    this.looksAround = looksAround
    this.looksAhead = instructions.some(({ op }) => op === Op.EmptyWidth)
    this.parts = parts
    this.slots = 2 * (groups + 1)
    this.now = new Int32Array(this.slots * instructions.length)
    this.coming = new Int32Array(this.slots * instructions.length)
    this.hit = new Int32Array(this.slots)
  }

  /** Undefined when the request's work is used up (`regexWork.gaveUp`). */
  replaceAll(text: string): string | undefined {
    let changed = ''
    let copied = 0
    let from = 0
    let lastEnd = -1
    while (from <= text.length) {
      const found = this.search(text, from)
      if (regexWork.gaveUp !== '') return undefined
      if (!found) break
      const start = this.hit[0]!
      const end = this.hit[1]!
      if (start !== end || start !== lastEnd) {
        changed += text.slice(copied, start) + this.replacement(text)
        copied = end
      }
      lastEnd = end
      from = end > start ? end : end + 1
    }
    return changed + text.slice(copied)
  }

  private replacement(text: string): string {
    const { hit } = this
    let made = ''
    for (const part of this.parts) {
      if (typeof part === 'string') made += part
      else if (2 * part < hit.length && hit[2 * part]! >= 0)
        made += text.slice(hit[2 * part]!, hit[2 * part + 1]!)
    }
    return made
  }

  /** The leftmost hit from `from` on, in `hit`; of those the one that the expression prefers. */
  private search(text: string, from: number): boolean {
    const { ascii } = this.classes
    let move = this.begin(text, from)
    let at = from
    let found = false
    let spent = 2 * partsPerStep
    let mayCost = regexWork.left * partsPerStep
    for (;;) {
      if (!move.still) this.carry(move, at)
      spent += move.cost
      const state = move.to
      if (state.hits) {
        found = true
        this.keepHit(state.places.length - 1, at)
      }
      if (at >= text.length || spent > mayCost) break
      if (state.places.length === 0 && !state.seeking) break
      const code = text.charCodeAt(at++)
      const kind = code < 128 ? ascii[code]! : this.classes.search(code)
      const behind = this.looksAhead ? this.beside(text, at) : Beside.Edge
      const known = state.moves[kind * 4 + behind]
      if (known !== undefined) move = known
      else {
        move = this.follow(state, kind, code, behind)
        mayCost = regexWork.left * partsPerStep
      }
    }
    regexWork.left -= Math.ceil(spent / partsPerStep)
    if (regexWork.left < 0) regexWork.gaveUp = this.program.pattern
    return found
  }

  private beside(text: string, at: number): Beside {
    if (at < 0 || at >= text.length) return Beside.Edge
    return this.looksAround ? besideOf(text.charCodeAt(at)) : Beside.Other
  }

  /** Groups of the places after a move, which led to `at`. */
  private carry({ from, marks }: Move, at: number): void {
    const { coming, now, slots } = this
    let to = 0
    for (let i = 0; i < from.length; i++) {
      const source = from[i]! * slots
      if (source < 0) {
        coming[to] = at
        for (let k = 1; k < slots; k++) coming[to + k] = -1
      } else for (let k = 0; k < slots; k++) coming[to + k] = now[source + k]!
      const marked = marks[i]!
      for (let k = 0; k < marked.length; k++) coming[to + marked[k]!] = at
      to += slots
    }
    this.now = coming
    this.coming = now
  }

  private keepHit(place: number, at: number): void {
    const { hit, now, slots } = this
    for (let k = 0; k < slots; k++) hit[k] = now[place * slots + k]!
    hit[1] = at
  }

  private begin(text: string, from: number): Move {
    const before = this.looksAhead ? this.beside(text, from - 1) : Beside.Edge
    const after = this.looksAhead ? this.beside(text, from) : Beside.Edge
    const key = before * 4 + after
    const move = this.starts[key] ?? this.makeMove(undefined, 0, assertionsAt(before, after))
    this.starts[key] = move
    return move
  }

  private follow(state: State, kind: number, code: number, behind: Beside): Move {
    const before = this.looksAround ? besideOf(code) : Beside.Other
    const move = this.makeMove(state, code, assertionsAt(before, behind))
    state.moves[kind * 4 + behind] = move
    return move
  }

  /** What `code` makes of a state; of none: how the expression begins. */
  private makeMove(state: State | undefined, code: number, held: number): Move {
    const { instructions, start } = this.program
    const going = new Going(this.program, held)
    if (state !== undefined)
      for (const [index, place] of state.places.entries()) {
        const instruction = instructions[place]!
        if (instruction.op === Op.Match) break
        if (takes(instruction, code)) going.add(instruction.out, index)
        if (going.hits) break
      }
    const seeking = state?.seeking ?? true
    if (seeking && !going.hits) going.add(start, -1)
    const { from, hits, marks, places } = going
    regexWork.left -= 2 * going.work + (state?.places.length ?? 0) + 40
    const still =
      places.length === state?.places.length &&
      from.every((source, index) => source === index) &&
      marks.every(({ length }) => length === 0)
    const cost = still ? stillCost : 6 + places.length + ((places.length * this.slots) >> 2)
    this.cells += 3 * places.length + 8
    return { to: this.stateOf(places, hits, seeking && !hits), from, marks, still, cost }
  }

  private stateOf(places: readonly number[], hits: boolean, seeking: boolean): State {
    const key = `${seeking ? 's' : ''}${String.fromCodePoint(...places)}`
    const known = this.states.get(key)
    if (known !== undefined) return known
    this.cells += places.length + 4 * Math.min(this.classes.count, 256)
    if (this.cells > keptCells) {
      // Texts under way keep the states they are in; those are made again when they are met again.
      this.states = new Map()
      this.starts = []
      this.cells = 0
    }
    const state = new State(places, hits, seeking)
    this.states.set(key, state)
    return state
  }
}

/** Finds the places that can be stood at without taking a character, in the order of preference. */
class Going {
  readonly places: number[] = []
  readonly from: number[] = []
  readonly marks: Array<readonly number[]> = []
  /** The last place is a hit: nothing behind it counts. */
  hits = false
  /** Instructions that were looked at. */
  work = 0
  private readonly program: RegexProgram
  /** The assertions that hold here. */
  private readonly held: number
  private readonly seen: Uint8Array

  constructor(program: RegexProgram, held: number) {
    this.program = program
    this.held = held
    this.seen = new Uint8Array(program.instructions.length)
  }

  /** Everything that can be stood at from `place`, unless something better stands there. */
  add(place: number, from: number): void {
    const { groups, instructions } = this.program
    const slots = 2 * (groups + 1)
    const pending: Array<readonly [place: number, marks: readonly number[]]> = [[place, noMarks]]
    while (pending.length > 0 && !this.hits) {
      const [here, marks] = pending.pop()!
      if (this.seen[here] === 1) continue
      this.seen[here] = 1
      this.work++
      const { arg, op, out } = instructions[here]!
      if (op === Op.Alt || op === Op.AltMatch) pending.push([arg, marks], [out, marks])
      else if (op === Op.Nop) pending.push([out, marks])
      else if (op === Op.Capture) pending.push([out, arg < slots ? [...marks, arg] : marks])
      else if (op === Op.EmptyWidth) {
        if ((arg & ~this.held) === 0) pending.push([out, marks])
      } else if (op !== Op.Fail) {
        this.places.push(here)
        this.from.push(from)
        this.marks.push(marks)
        this.hits = op === Op.Match
      }
    }
  }
}
