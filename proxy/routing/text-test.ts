/**
 * One StringMatch (or regular expression) compiled to the cheapest test that gives the same answer.
 * Values are wire text without line breaks. Hot: bench/micro/routing.bench.ts.
 */
import type { StringMatchSpec } from '../../config/snapshot.ts'
import { unreachable } from '../base/invariant.ts'
import { RegexMatcher } from '../filters/regex-matcher.ts'
import { wireText } from '../http/wire-text.ts'
import { Around, type PlainShape, plainShapes } from './plain-regex.ts'

const Op = {
  Any: 0,
  Some: 1,
  Exact: 2,
  Prefix: 3,
  ExactIgnoringCase: 4,
  PrefixIgnoringCase: 5,
  OneOf: 6,
  Shape: 7,
  AnyOf: 8,
  Regex: 9,
} as const
type Op = (typeof Op)[keyof typeof Op]

interface Operands {
  readonly text?: string
  readonly texts?: ReadonlySet<string>
  readonly shape?: PlainShape
  readonly tests?: readonly TextTest[]
  readonly regex?: RegexMatcher
}

const nothing: PlainShape = { before: Around.Nothing, literal: '', after: Around.Nothing }

export class TextTest {
  private readonly op: Op
  private readonly text: string
  /** Character codes at the end of `text`. */
  private readonly last: number
  private readonly lastButOne: number
  private readonly texts: ReadonlySet<string> | undefined
  private readonly shape: PlainShape
  private readonly tests: readonly TextTest[]
  private readonly regex: RegexMatcher | undefined

  private constructor(op: Op, operands: Operands) {
    this.op = op
    this.text = operands.text ?? ''
    this.last = this.text.charCodeAt(this.text.length - 1)
    this.lastButOne = this.text.charCodeAt(this.text.length - 2)
    this.texts = operands.texts
    this.shape = operands.shape ?? nothing
    this.tests = operands.tests ?? []
    this.regex = operands.regex
  }

  static of(spec: StringMatchSpec): TextTest {
    const text = wireText(spec.value)
    switch (spec.kind) {
      case 'present':
        return new TextTest(Op.Any, {})
      case 'exact':
        if (spec.ignoreCase) return new TextTest(Op.ExactIgnoringCase, { text: foldCase(text) })
        return new TextTest(Op.Exact, { text })
      case 'prefix':
        if (spec.ignoreCase) return new TextTest(Op.PrefixIgnoringCase, { text: foldCase(text) })
        return new TextTest(Op.Prefix, { text })
      case 'regex':
        return TextTest.ofRegex(spec.value)
      default:
        return unreachable(spec.kind)
    }
  }

  /** RE2 syntax, full match. */
  static ofRegex(pattern: string): TextTest {
    const shapes = plainShapes(pattern)
    if (shapes === undefined) return new TextTest(Op.Regex, { regex: new RegexMatcher(pattern) })
    const literals = shapes.filter((shape) => shape.before === 0 && shape.after === 0)
    const tests = shapes
      .filter((shape) => shape.before !== 0 || shape.after !== 0)
      .map(TextTest.ofShape)
    if (literals.length === 1) tests.push(new TextTest(Op.Exact, { text: literals[0]!.literal }))
    if (literals.length > 1)
      tests.push(new TextTest(Op.OneOf, { texts: new Set(literals.map((each) => each.literal)) }))
    return tests.length === 1 ? tests[0]! : new TextTest(Op.AnyOf, { tests })
  }

  private static ofShape(shape: PlainShape): TextTest {
    const { before, literal, after } = shape
    if (literal === '')
      return before === Around.Something || after === Around.Something
        ? new TextTest(Op.Some, {})
        : new TextTest(Op.Any, {})
    if (before === Around.Nothing && after === Around.Anything)
      return new TextTest(Op.Prefix, { text: literal })
    return new TextTest(Op.Shape, { shape })
  }

  /** True if the answer needs the regular expression engine. */
  get needsEngine(): boolean {
    return this.op === Op.Regex
  }

  /** Rules of one host share long beginnings: their last two characters tell them apart (76 ns a rule against 17). */
  private mayStart(value: string): boolean {
    const length = this.text.length
    if (value.length < length) return false
    if (length < 2) return true
    return (
      value.charCodeAt(length - 1) === this.last && value.charCodeAt(length - 2) === this.lastButOne
    )
  }

  test(value: string): boolean {
    switch (this.op) {
      case Op.Any:
        return true
      case Op.Some:
        return value.length > 0
      case Op.Exact:
        return value === this.text
      case Op.Prefix:
        return this.mayStart(value) && value.startsWith(this.text)
      case Op.ExactIgnoringCase:
        return value.length === this.text.length && startsIgnoringCase(value, this.text)
      case Op.PrefixIgnoringCase:
        return value.length >= this.text.length && startsIgnoringCase(value, this.text)
      case Op.OneOf:
        return this.texts!.has(value)
      case Op.Shape:
        return hasShape(value, this.shape)
      case Op.AnyOf:
        for (let i = 0; i < this.tests.length; i++) if (this.tests[i]!.test(value)) return true
        return false
      case Op.Regex:
        return this.regex!.matches(isAscii(value) ? value : unicodeOf(value))
      default:
        return unreachable(this.op)
    }
  }
}

function hasShape(value: string, { before, literal, after }: PlainShape): boolean {
  const spare = value.length - literal.length
  if (before === Around.Nothing)
    return spare >= (after === Around.Something ? 1 : 0) && value.startsWith(literal)
  const least = before === Around.Something ? 1 : 0
  if (after === Around.Nothing) return spare >= least && value.endsWith(literal)
  const at = value.indexOf(literal, least)
  return at >= least && (after === Around.Anything || at < spare)
}

/** Wire text as the UTF-8 it stands for. */
function unicodeOf(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8')
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 127) return false
  return true
}

/** ASCII letters in lower case, other characters as they are. */
function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** `folded` is in lower case and not longer than `value`. */
function startsIgnoringCase(value: string, folded: string): boolean {
  for (let i = 0; i < folded.length; i++) {
    let c = value.charCodeAt(i)
    if (c >= 65 && c <= 90) c |= 32
    if (c !== folded.charCodeAt(i)) return false
  }
  return true
}
