/**
 * Regular expressions that say no more than plain text tests do, taken apart at link time: literals,
 * `.*` and `.+` at the ends, groups and `?` around literals. Everything else stays with RE2.
 */

/** Before or after the literal: nothing more, anything, or at least one character. */
export const Around = { Nothing: 0, Anything: 1, Something: 2 } as const
export type Around = (typeof Around)[keyof typeof Around]

/** What one alternative of a plain expression accepts: a literal with something around it. */
export interface PlainShape {
  readonly before: Around
  readonly literal: string
  readonly after: Around
}

type Piece = string | typeof Around.Anything | typeof Around.Something
type Sequence = readonly Piece[]

/** More alternatives than this are left to RE2. */
const alternativeLimit = 64

/** The shapes of which a value must have one to match in full; undefined: not plain. */
export function plainShapes(pattern: string): PlainShape[] | undefined {
  if (/[^ -~]/.test(pattern)) return undefined
  const reader = new Reader(pattern)
  const sequences = reader.alternation(true)
  if (sequences === undefined || !reader.done) return undefined
  const shapes = sequences.map(shapeOf)
  return shapes.every((shape) => shape !== undefined) ? shapes : undefined
}

function shapeOf(sequence: Sequence): PlainShape | undefined {
  let before: Around = Around.Nothing
  let after: Around = Around.Nothing
  let literal = ''
  let literalSeen = false
  for (const piece of sequence) {
    if (typeof piece === 'string') {
      if (after !== Around.Nothing) return undefined
      literal += piece
      literalSeen = true
    } else if (literalSeen) after = wider(after, piece)
    else before = wider(before, piece)
  }
  return { before, literal, after }
}

/** Two wildcards in a row; `.+.+` was refused before. */
function wider(a: Around, b: Around): Around {
  return a === Around.Something ? a : b
}

class Reader {
  private readonly pattern: string
  private at = 0

  constructor(pattern: string) {
    this.pattern = pattern
  }

  get done(): boolean {
    return this.at === this.pattern.length
  }

  /** `top`: anchors are allowed at its ends, where a full match makes them mean nothing. */
  alternation(top: boolean): Sequence[] | undefined {
    const all: Sequence[] = []
    do {
      const found = this.sequence(top)
      if (found === undefined || all.length + found.length > alternativeLimit) return undefined
      all.push(...found)
    } while (this.take('|'))
    return all
  }

  private sequence(top: boolean): Sequence[] | undefined {
    let sequences: Sequence[] = [[]]
    if (top) this.take('^')
    while (!this.done && this.peek() !== '|' && this.peek() !== ')') {
      if (top && this.peek() === '$' && this.endsAfterAnchor()) {
        this.at++
        break
      }
      const atom = this.atom()
      if (atom === undefined) return undefined
      const next = sequences.flatMap((head) => atom.map((tail) => [...head, ...tail]))
      if (next.length > alternativeLimit) return undefined
      sequences = next
    }
    return sequences.some(wantsTwoCharacters) ? undefined : sequences
  }

  private endsAfterAnchor(): boolean {
    const next = this.pattern[this.at + 1]
    return next === undefined || next === '|'
  }

  private atom(): Sequence[] | undefined {
    const c = this.peek()
    this.at++
    let atom: Sequence[] | undefined
    if (c === '.') return this.wildcard()
    if (c === '(') atom = this.group()
    else if (c === '\\') atom = this.escape()
    else if (!'*+?{}[]^$'.includes(c)) atom = [[c]]
    if (atom === undefined || '*+{'.includes(this.peek() || ' ')) return undefined
    if (!this.take('?')) return atom
    if ('?*+{'.includes(this.peek() || ' ')) return undefined
    return [...atom, []]
  }

  /** `.*` and `.+`, greedy or not: for a full match that is the same. */
  private wildcard(): Sequence[] | undefined {
    const piece = this.take('*') ? Around.Anything : this.take('+') ? Around.Something : undefined
    if (piece === undefined) return undefined
    this.take('?')
    return '*+?{'.includes(this.peek() || ' ') ? undefined : [[piece]]
  }

  private group(): Sequence[] | undefined {
    if (this.take('?') && !this.take(':')) return undefined
    const inside = this.alternation(false)
    return inside !== undefined && this.take(')') ? inside : undefined
  }

  private escape(): Sequence[] | undefined {
    const c = this.peek()
    if (c === '' || !/[!-/:-@[-`{-~]/.test(c)) return undefined
    this.at++
    return [[c]]
  }

  private peek(): string {
    return this.pattern[this.at] ?? ''
  }

  private take(c: string): boolean {
    if (this.peek() !== c) return false
    this.at++
    return true
  }
}

/** `.+.+` and its like: no shape can say it. */
function wantsTwoCharacters(sequence: Sequence): boolean {
  let somethings = 0
  for (const piece of sequence) {
    if (typeof piece === 'string') somethings = 0
    else if (piece === Around.Something && ++somethings > 1) return true
  }
  return false
}
