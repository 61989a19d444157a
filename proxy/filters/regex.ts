/**
 * The regular expressions of the configuration: RE2's syntax, by re2js, whose compiled programs our
 * own engines run so that their work can be counted. Linear time alone is not enough: `.*a.{300}b`
 * takes 15 us for each character of a hostile path. What a request may spend is bounded; one that
 * would need more is refused.
 */
import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'

type Engine = typeof import('re2js')
let engine: Engine | undefined

/** The engine is loaded at the first call: it takes 2 MB of each thread, and few configurations need it. */
export function compileRegex(pattern: string): RE2JS {
  engine ??= createRequire(import.meta.url)('re2js') as Engine
  return engine.RE2JS.compile(pattern)
}

/** Steps of 10 to 40 ns that the expressions of one request may take together. */
const stepsPerRequest = 60_000

/** What the request at hand may still spend; requests are matched one after another. */
export const regexWork = {
  left: stepsPerRequest,
  /** The expression that would have needed more; `` while none did. */
  gaveUp: '',
  /** A request begins. */
  renew(): void {
    this.left = stepsPerRequest
    this.gaveUp = ''
  },
}

/** re2js's instructions (and those of Go's regexp/syntax). */
export const Op = {
  Alt: 1,
  AltMatch: 2,
  Capture: 3,
  EmptyWidth: 4,
  Fail: 5,
  Match: 6,
  Nop: 7,
  Rune: 8,
  Rune1: 9,
  RuneAny: 10,
  RuneAnyNotNewline: 11,
} as const

export interface Instruction {
  readonly op: number
  readonly out: number
  readonly arg: number
  readonly runes: Int32Array
  matchRune(rune: number): boolean
}

/** What assertions such as `$` and `\b` see beside a place in the text. */
export const Beside = { Edge: 0, Newline: 1, Word: 2, Other: 3 } as const
export type Beside = (typeof Beside)[keyof typeof Beside]

export function besideOf(code: number): Beside {
  if (code === 10) return Beside.Newline
  const word =
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    code === 95 ||
    (code >= 97 && code <= 122)
  return word ? Beside.Word : Beside.Other
}

/** The assertions that hold between two characters, as bits of EmptyWidth's argument. */
export function assertionsAt(before: Beside, after: Beside): number {
  let held = 0
  if (before === Beside.Edge) held |= 1 | 4
  if (before === Beside.Newline) held |= 1
  if (after === Beside.Edge) held |= 2 | 8
  if (after === Beside.Newline) held |= 2
  return held | ((before === Beside.Word) !== (after === Beside.Word) ? 16 : 32)
}

/** The program of an expression. */
export class RegexProgram {
  readonly pattern: string
  readonly instructions: readonly Instruction[]
  readonly start: number
  readonly groups: number

  constructor(pattern: string) {
    const compiled = compileRegex(pattern) as unknown as {
      readonly re2Input: {
        readonly prog: { readonly inst: readonly Instruction[]; readonly start: number }
      }
      groupCount(): number
    }
    const { prog } = compiled.re2Input
    this.pattern = pattern
    this.instructions = prog.inst
    this.start = prog.start
    this.groups = compiled.groupCount()
  }

  /** True if it asks for words or lines: then more than the edges of the text counts. */
  get looksAround(): boolean {
    return this.instructions.some(({ arg, op }) => op === Op.EmptyWidth && (arg & ~12) !== 0)
  }
}

/** Whether an instruction takes a character: one of the Rune kinds, or none. */
export function takes(instruction: Instruction, code: number): boolean {
  const { arg, op, runes } = instruction
  if (op === Op.RuneAny) return true
  if (op === Op.RuneAnyNotNewline) return code !== 10
  if (op !== Op.Rune && op !== Op.Rune1) return false
  if (runes.length === 1 && (arg & 1) === 0) return runes[0] === code
  return instruction.matchRune(code)
}
