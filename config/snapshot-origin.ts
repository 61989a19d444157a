/** Where things were written: every spec of the snapshot carries it. */

/** Where a piece of configuration was written: enough to open the file at the line. */
export interface Origin {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly file: string
  /** 1-based. */
  readonly line: number
}
