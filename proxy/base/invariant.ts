/** A mistake of ours: never caught, kills its worker, which the supervisor replaces. */
export class Bug extends Error {}

/** States what the code relies on; a false condition is a Bug. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Bug(message)
}

/** Closes a switch over a closed set. */
export function unreachable(value: never): never {
  throw new Bug(`unreachable value ${JSON.stringify(value)}`)
}
