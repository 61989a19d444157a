/** Text out of bytes. Hot: bench/micro/http1-parse.bench.ts. */

/** What Node's Buffer has but its types leave out. */
interface Latin1Slicing {
  latin1Slice(start: number, end: number): string
}

/**
 * `bytes[start, end)` as latin1: one character per byte, nothing lost. Without the argument checks of
 * Buffer.toString, which cost as much as the work for a head (60 of 120 ns).
 */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Latin1Slicing).latin1Slice(start, end)
}
