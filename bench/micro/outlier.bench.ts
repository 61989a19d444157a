/** Counting a reply for outlier detection: what a request to a cluster that has it costs more. */
import { outlierMemory } from '../../proxy/base/outlier-cells.ts'
import { OutlierCounts, OutlierRules } from '../../proxy/upstream/outlier-counts.ts'
import { outlierSpec } from '../../test/upstream/fakes.ts'
import { measure } from './measure.ts'

function counts(parts: Parameters<typeof outlierSpec>[0] = {}): OutlierCounts {
  const made = new OutlierCounts(new OutlierRules(outlierSpec(parts)), () => undefined)
  made.share(outlierMemory(1), 0)
  return made
}

const plain = counts()
measure('a reply that is no error', 5_000_000, () => {
  plain.replied(200)
})
measure('a reply that is an error', 2_000_000, () => {
  plain.replied(503)
})
const rated = counts({ failurePercentage: 85 })
measure('a reply that is no error, with rates', 2_000_000, () => {
  rated.replied(200)
})
