/** Endpoints that answer worse than the others, or badly enough, within one interval (Envoy's numbers). */

export interface Rate {
  readonly replies: number
  readonly successes: number
}

const leastHosts = 5
/** Replies within the interval, for an endpoint to be judged. */
const leastForFailures = 50
const leastForSuccess = 100

/** Positions of those with at least `percent` of errors. */
export function failingTooOften(rates: readonly Rate[], percent: number): number[] {
  const judged = enough(rates, leastForFailures)
  return judged.filter((i) => 100 - successOf(rates[i]!) >= percent)
}

/** Positions of those more than `factor` thousandths of a standard deviation below the mean. */
export function worseThanOthers(rates: readonly Rate[], factor: number): number[] {
  const judged = enough(rates, leastForSuccess)
  const all = judged.map((i) => successOf(rates[i]!))
  const mean = all.reduce((sum, rate) => sum + rate, 0) / all.length
  const variance = all.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / all.length
  const threshold = mean - (Math.sqrt(variance) * factor) / 1000
  return judged.filter((_, n) => all[n]! < threshold)
}

function enough(rates: readonly Rate[], replies: number): number[] {
  const judged: number[] = []
  for (const [i, rate] of rates.entries()) if (rate.replies >= replies) judged.push(i)
  return judged.length < leastHosts ? [] : judged
}

function successOf({ replies, successes }: Rate): number {
  return (100 * successes) / replies
}
