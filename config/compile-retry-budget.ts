/** How many retries a cluster may see: the DestinationRule's retryBudget, its annotation, or the default. */
import type { RetryBudget } from './kinds.ts'
import type { RetryBudgetSpec } from './snapshot.ts'

/**
 * Failed retries per second: 20 % of the requests of that second, and 10 besides, so that a dead
 * upstream sees at most 1.2 times what is asked of it while single requests are still repeated.
 */
const byDefault: RetryBudgetSpec = { kind: 'failing', percent: 20, perSecond: 10 }

/** Envoy's values where Istio's field leaves them open. */
const PERCENT = 20
const MIN_CONCURRENCY = 3

/** `annotation`: outrider.dev/retry-budget of the rule in force. */
export function retryBudgetSpec(
  written: RetryBudget | undefined,
  annotation: string | undefined,
): RetryBudgetSpec {
  if (written !== undefined)
    return {
      kind: 'concurrent',
      percent: written.percent ?? PERCENT,
      minConcurrency: written.minRetryConcurrency ?? MIN_CONCURRENCY,
      intervalMs: written.budgetIntervalMs ?? 0,
    }
  const read = annotation === undefined ? byDefault : readRetryBudget(annotation)
  return typeof read === 'string' ? byDefault : read
}

/** `off`, `30%`, or `30% 50/s`; a sentence where it is none of them. */
export function readRetryBudget(text: string): RetryBudgetSpec | string {
  if (text.trim() === 'off') return { kind: 'off' }
  const [, percent, perSecond = '10'] =
    /^\s*(\d+(?:\.\d+)?)\s*%(?:\s+(\d+(?:\.\d+)?)\/s)?\s*$/.exec(text) ?? []
  if (percent === undefined)
    return `"${text}" is neither off nor a share of failing retries such as 20% or 20% 10/s`
  return { kind: 'failing', percent: Number(percent), perSecond: Number(perSecond) }
}
