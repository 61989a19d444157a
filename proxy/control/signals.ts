/**
 * Signals that ask for the end. A supervisor or shell that signals a whole group reaches the proxy twice
 * where a launcher stands in front of it and passes signals on: that is one request, not "at once".
 */
const echoMs = 500

/** Calls `begin` for every signal but the echo of one just received; `now` in monotonic ms. */
export function withoutEchoes(
  begin: (signal: string) => void,
  now: () => number = () => performance.now(),
): (signal: string) => void {
  let last = Number.NEGATIVE_INFINITY
  return (signal) => {
    const at = now()
    if (at - last < echoMs) return
    last = at
    begin(signal)
  }
}
