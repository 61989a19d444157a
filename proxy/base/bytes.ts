/** Text out of bytes. Hot: bench/micro/http1-parse.bench.ts. */

/** `bytes[start, end)` as latin1: one character per byte, nothing lost. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', start, end)
}
