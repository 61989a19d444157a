/** A resource as read from YAML: normalised, with defaults, remembering where each part was written. */
import type { Origin } from './snapshot.ts'

/** 1-based. */
export interface Position {
  readonly line: number
  readonly column: number
}

export type Path = ReadonlyArray<string | number>

/**
 * `spec` is normalised by the schema: lowerCamelCase names (snake_case was accepted), enum names in
 * upper case, durations in milliseconds, quantities as numbers, unknown fields gone, and every
 * default that does not depend on other objects filled in.
 */
export interface Resource<Kind extends string = string, Spec = unknown> {
  readonly kind: Kind
  readonly apiVersion: string
  /** `default` when the object names none; `` for cluster-scoped kinds. */
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Milliseconds since 1970, 0 when not written: the first half of Istio's ordering key. */
  readonly created: number
  /** The line is that of the object's first key. */
  readonly origin: Origin
  readonly spec: Spec
  /** Position of the deepest part of `path` that exists, e.g. ['spec','http',0,'route',1,'weight']. */
  at(path: Path): Position
  /** The same as an Origin, for specs that point deeper than the object. */
  originAt(path: Path): Origin
  /** Drops the spec to save memory, where it can be had again at the price of reading. */
  forget?(): void
}

export type Severity = 'error' | 'warning' | 'info'

/** A fact about the configuration a person should know; never thrown. */
export interface Problem {
  readonly severity: Severity
  /** Istio's analyzer code where one exists (IST0101), else ours (OUT-...). */
  readonly code: string
  readonly file: string
  readonly line: number
  readonly column: number
  /** What is wrong, naming the value. One sentence. */
  readonly message: string
  /** What to do about it; may be ``. */
  readonly hint: string
  /** `VirtualService default/reviews`, or `` when the file could not be read that far. */
  readonly object: string
}
