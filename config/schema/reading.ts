/** One object being read by its schema: where the reader stands, and what it has to say. */
import { type Raw, type Source, valueOffsetOf, within } from '../raw.ts'
import type { Path, Problem, Severity } from '../resource.ts'

export const Code = {
  Syntax: 'OUT-YAML',
  BooleanWord: 'OUT-YAML11',
  DuplicateKey: 'OUT-DUPKEY',
  Schema: 'IST0106',
  SchemaWarning: 'IST0133',
  Deprecated: 'IST0002',
  NotYet: 'OUT-NOTYET',
  UnknownField: 'OUT-FIELD',
  DuplicateObject: 'OUT-DUPOBJ',
} as const

export interface Complaint {
  readonly message: string
  readonly hint?: string
  readonly warning?: true
}
/** What a check gives back: nothing, or a sentence (with a hint). */
export type Verdict = Complaint | string | undefined

export class Reading {
  readonly source: Source
  /** `VirtualService default/reviews` */
  readonly object: string
  readonly problems: Problem[] = []
  private readonly path: Array<string | number> = []

  constructor(source: Source, object: string) {
    this.source = source
    this.object = object
  }

  enter(part: string | number): void {
    this.path.push(part)
  }
  leave(): void {
    this.path.pop()
  }

  /** `spec.http[0].route` */
  where(more: Path = []): string {
    let text = ''
    for (const part of [...this.path, ...more])
      text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`
    return text
  }

  report(severity: Severity, code: string, at: number, message: string, hint = ''): void {
    const { line, column } = this.source.position(at)
    const { file } = this.source
    this.problems.push({ severity, code, file, line, column, message, hint, object: this.object })
  }

  /** An error of the value at `at`, told with its path. */
  error(at: number, message: string, hint = ''): void {
    this.report('error', Code.Schema, at, `${this.where()}: ${message}`, hint)
  }

  /** Tells what a check found; true when there was nothing. */
  judge(at: number, verdict: Verdict): boolean {
    if (verdict === undefined) return true
    const complaint = typeof verdict === 'string' ? { message: verdict } : verdict
    const warning = complaint.warning === true
    const code = warning ? Code.SchemaWarning : Code.Schema
    const text = `${this.where()}: ${complaint.message}`
    this.report(warning ? 'warning' : 'error', code, at, text, complaint.hint ?? '')
    return warning
  }

  get failed(): boolean {
    return this.problems.some((problem) => problem.severity === 'error')
  }
}

/** An object of the tree while its rules run: problems are placed by paths below it. */
export class Place {
  readonly raw: Raw
  private readonly reading: Reading

  constructor(reading: Reading, raw: Raw) {
    this.reading = reading
    this.raw = raw
  }

  error(path: Path, message: string, hint = ''): void {
    this.say('error', Code.Schema, path, message, hint)
  }

  warn(path: Path, message: string, hint = '', code: string = Code.SchemaWarning): void {
    this.say('warning', code, path, message, hint)
  }

  judge(path: Path, verdict: Verdict): void {
    if (verdict === undefined) return
    const complaint = typeof verdict === 'string' ? { message: verdict } : verdict
    if (complaint.warning === true) this.warn(path, complaint.message, complaint.hint)
    else this.error(path, complaint.message, complaint.hint)
  }

  /** True when the key is written and not null. */
  has(name: string): boolean {
    return this.hasAt([name])
  }

  /** How many items the list at `path` has as written, usable or not. */
  count(...path: string[]): number {
    const raw = within(this.raw, ...path)
    return raw?.kind === 'list' ? raw.items.length : 0
  }

  /** True for a list written without items. */
  emptyAt(path: Path): boolean {
    const raw = rawAt(this.raw, path)
    return raw?.kind === 'list' && raw.items.length === 0
  }

  /** True for what is written and no number: its own type has complained. */
  noNumberAt(path: Path): boolean {
    const raw = rawAt(this.raw, path)
    return this.hasAt(path) && !(raw?.kind === 'scalar' && typeof raw.value === 'number')
  }

  hasAt(path: Path): boolean {
    const raw = rawAt(this.raw, path)
    return raw !== undefined && !(raw.kind === 'scalar' && raw.value === null)
  }

  private say(severity: Severity, code: string, path: Path, message: string, hint: string): void {
    const at = valueOffsetOf(this.raw, path)
    this.reading.report(severity, code, at, `${this.reading.where(path)}: ${message}`, hint)
  }
}

function rawAt(root: Raw, path: Path): Raw | undefined {
  let raw: Raw | undefined = root
  for (const part of path) {
    if (typeof part === 'string') raw = within(raw, part)
    else raw = raw?.kind === 'list' ? raw.items[part] : undefined
  }
  return raw
}
