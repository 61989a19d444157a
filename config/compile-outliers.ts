/** Outlier detection with Envoy's and Istio's defaults filled in. */
import { Annotation } from './annotation-names.ts'
import type { BlockPlace } from './compile-policy-places.ts'
import type { OutlierDetection } from './kinds.ts'
import {
  failurePercentageComplaint,
  numberOf,
  successRateComplaint,
} from './outlier-annotations.ts'
import type { OutlierDetectionSpec } from './snapshot.ts'

/** Envoy's max_ejection_time, which Istio does not set. */
const MAX_EJECTION_MS = 300_000
const ENVOY_CONSECUTIVE = 5

/** `place`: where it was written. */
export function outlierDetectionSpec(
  written: OutlierDetection | undefined,
  place: BlockPlace | undefined,
): OutlierDetectionSpec | undefined {
  if (written === undefined) return undefined
  const annotations = place?.resource.annotations ?? {}
  const split = written.splitExternalLocalOriginErrors === true
  const baseEjectionMs = written.baseEjectionMs ?? 30_000
  return {
    consecutive5xx: written.consecutive5xxErrors ?? ENVOY_CONSECUTIVE,
    consecutiveGatewayErrors: written.consecutiveGatewayErrors ?? 0,
    // Istio hands on what is above 0; otherwise Envoy's own number holds.
    consecutiveLocalOrigin: split ? written.consecutiveLocalOriginFailures || ENVOY_CONSECUTIVE : 0,
    splitLocalOrigin: split,
    intervalMs: written.intervalMs ?? 10_000,
    baseEjectionMs,
    maxEjectionMs: Math.max(MAX_EJECTION_MS, baseEjectionMs),
    maxEjectionPercent: written.maxEjectionPercent || 10,
    alwaysEjectOne: annotations[Annotation.AlwaysEjectOne] === 'true',
    minHealthPercent: written.minHealthPercent ?? 0,
    errorStatuses: written.outlierDetectionHttpErrorCodes ?? [],
    failurePercentage: numberOf(
      annotations[Annotation.FailurePercentage],
      failurePercentageComplaint,
    ),
    successRateFactor: numberOf(annotations[Annotation.SuccessRate], successRateComplaint),
  }
}
