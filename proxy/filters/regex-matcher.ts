/**
 * Whether a text matches an expression in full: a deterministic automaton whose states are made when
 * they are first needed, and kept. Hot where rules have expressions that are no plain text tests;
 * bench/micro/routing.bench.ts; re2js itself is the plain twin.
 */
import { assertionsAt, Beside, besideOf, Op, RegexProgram, regexWork, takes } from './regex.ts'
import { CharacterClasses } from './regex-classes.ts'

/** Places in the program where matching may stand after the same beginning of a text. */
class State {
  readonly places: readonly number[]
  readonly before: Beside
  /** By class of the next character; undefined: not asked yet. */
  readonly next: Array<State | undefined>
  /** A text may end here; undefined: not asked yet. */
  accepts: boolean | undefined = undefined

  constructor(places: readonly number[], before: Beside, classes: number) {
    this.places = places
    this.before = before
    this.next = classes <= 512 ? new Array(classes).fill(undefined) : []
  }
}

/** What states may hold together, in places and successors; about 8 bytes each. */
const keptCells = 500_000
/** Characters that a kept successor answers cost far less than a step. */
const charactersPerStep = 8

export class RegexMatcher {
  readonly program: RegexProgram
  private readonly classes: CharacterClasses
  private readonly ascii: Uint16Array
  private readonly looksAround: boolean
  private states = new Map<string, State>()
  private cells = 0
  private start: State
  /** Which places the walk at hand has seen. */
  private readonly seen: Uint32Array
  private walk = 0

  constructor(pattern: string) {
    this.program = new RegexProgram(pattern)
    this.looksAround = this.program.looksAround
    this.classes = new CharacterClasses(this.program)
    this.ascii = this.classes.ascii
    this.seen = new Uint32Array(this.program.instructions.length)
    this.start = this.stateOf([this.program.start], Beside.Edge)
  }

  /** `text`: as Unicode. False as well when the request's work is used up (`regexWork.gaveUp`). */
  matches(text: string): boolean {
    if (regexWork.gaveUp !== '') return false
    let state = this.start
    let at = 0
    while (at < text.length) {
      let code = text.charCodeAt(at++)
      if (code >= 0xd800 && code < 0xdc00 && at < text.length) {
        code = text.codePointAt(at - 1)!
        if (code > 0xffff) at++
      }
      const kind = code < 128 ? this.ascii[code]! : this.classes.search(code)
      const next = state.next[kind] ?? this.follow(state, kind, code)
      if (next === undefined) return false
      state = next
      if (state.places.length === 0) break
    }
    regexWork.left -= (at / charactersPerStep) | 0
    if (regexWork.left < 0) regexWork.gaveUp = this.program.pattern
    return at === text.length && regexWork.gaveUp === '' && this.accepts(state)
  }

  private accepts(state: State): boolean {
    state.accepts ??= this.reach(state, Beside.Edge).some(
      (place) => this.program.instructions[place]!.op === Op.Match,
    )
    return state.accepts
  }

  private follow(state: State, kind: number, code: number): State | undefined {
    const { instructions } = this.program
    const beside = this.looksAround ? besideOf(code) : Beside.Other
    const places: number[] = []
    for (const place of this.reach(state, beside)) {
      const instruction = instructions[place]!
      if (takes(instruction, code)) places.push(instruction.out)
    }
    regexWork.left -= places.length + 20
    if (regexWork.left < 0) {
      regexWork.gaveUp = this.program.pattern
      return undefined
    }
    const next = this.stateOf(places.sort(rising), beside)
    state.next[kind] = next
    return next
  }

  /** Everything that can be stood at without taking a character, up to the next one. */
  private reach({ before, places }: State, after: Beside): number[] {
    const { instructions } = this.program
    const { seen } = this
    const held = assertionsAt(before, after)
    const walk = ++this.walk
    const found: number[] = []
    const pending = [...places]
    while (pending.length > 0) {
      const place = pending.pop()!
      if (seen[place] === walk) continue
      seen[place] = walk
      regexWork.left--
      const { arg, op, out } = instructions[place]!
      if (op === Op.Alt || op === Op.AltMatch) pending.push(arg, out)
      else if (op === Op.Capture || op === Op.Nop) pending.push(out)
      else if (op === Op.EmptyWidth) {
        if ((arg & ~held) === 0) pending.push(out)
      } else if (op !== Op.Fail) found.push(place)
    }
    return found
  }

  private stateOf(sorted: readonly number[], before: Beside): State {
    const places = sorted.filter((place, index) => place !== sorted[index - 1])
    const key = `${before}${String.fromCodePoint(...places)}`
    const known = this.states.get(key)
    if (known !== undefined) return known
    this.cells += places.length + this.classes.count
    if (this.cells > keptCells) this.forget()
    const state = new State(places, before, this.classes.count)
    this.states.set(key, state)
    return state
  }

  /** Texts under way keep the states they are in; those are made again when they are met again. */
  private forget(): void {
    this.states = new Map()
    this.cells = 0
    const { places, before } = this.start
    this.start = new State(places, before, this.classes.count)
    this.states.set(`${before}${String.fromCodePoint(...places)}`, this.start)
  }
}

function rising(a: number, b: number): number {
  return a - b
}
