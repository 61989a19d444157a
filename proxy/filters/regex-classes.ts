/** The classes of characters that the program of an expression cannot tell apart. */
import { Op, type RegexProgram } from './regex.ts'

export class CharacterClasses {
  /** By character, for those below 128. */
  readonly ascii: Uint16Array
  readonly count: number
  /** First characters of the classes, rising. */
  private readonly bounds: readonly number[]

  constructor(program: RegexProgram) {
    this.bounds = classBounds(program)
    this.count = this.bounds.length
    this.ascii = Uint16Array.from({ length: 128 }, (_, code) => this.search(code))
  }

  search(code: number): number {
    const { bounds } = this
    let low = 0
    let high = bounds.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (bounds[middle]! <= code) low = middle
      else high = middle
    }
    return low
  }
}

function classBounds({ instructions, looksAround }: RegexProgram): number[] {
  const bounds = new Set([0])
  const range = (first: number, last: number): void => {
    bounds.add(first)
    bounds.add(last + 1)
  }
  for (const instruction of instructions) {
    const { arg, op, runes } = instruction
    if (op === Op.RuneAnyNotNewline) range(10, 10)
    if (op !== Op.Rune && op !== Op.Rune1) continue
    if (runes.length === 1) {
      range(runes[0]!, runes[0]!)
      if ((arg & 1) !== 0) for (const other of foldings(runes[0]!)) range(other, other)
    } else for (let i = 0; i < runes.length; i += 2) range(runes[i]!, runes[i + 1]!)
  }
  if (looksAround)
    for (const [first, last] of [
      [10, 10],
      [48, 57],
      [65, 90],
      [95, 95],
      [97, 122],
    ] as const)
      range(first, last)
  return [...bounds].sort((a, b) => a - b)
}

/** Characters that may equal one but for their case; too many do no harm. */
function foldings(code: number): Set<number> {
  const found = new Set<number>()
  const text = String.fromCodePoint(code)
  for (const one of [text, text.toLowerCase(), text.toUpperCase(), 'K', 'ſ', 'Å', 'Ω'])
    for (const other of [one, one.toLowerCase(), one.toUpperCase()])
      found.add(other.codePointAt(0)!)
  return found
}
