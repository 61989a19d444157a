/**
 * Outrider's own annotations: they add to Istio's resources what those have no field for. What may be
 * written where is checked in annotations.ts; a name that is not here has no effect and is told.
 */
export const ANNOTATION_PREFIX = 'outrider.dev/'

/** Istio's, of a Service or ServiceEntry (compile-traffic-distribution.ts). */
export const TRAFFIC_DISTRIBUTION = 'networking.istio.io/traffic-distribution'

export const Annotation = {
  /** DestinationRule: `off`, `20%` or `20% 10/s` (compile-retry-budget.ts). */
  RetryBudget: 'outrider.dev/retry-budget',
  /** DestinationRule: `PEAK_EWMA` (compile-balancing.ts). */
  LoadBalancer: 'outrider.dev/load-balancer',
  /** VirtualService: faults of its HTTP rules (fault-text.ts). */
  Faults: 'outrider.dev/faults',
  /** VirtualService: `before-retries` or `each-try`. */
  FaultPlacement: 'outrider.dev/fault-placement',
  /** VirtualService: `header:x-user`, `cookie:session`, `query:user` or `source-ip` (compile-sticky.ts). */
  StickyWeights: 'outrider.dev/sticky-weights',
  /** VirtualService: a whole number. */
  FaultSeed: 'outrider.dev/fault-seed',
  /** DestinationRule: `true` lets outlierDetection eject one endpoint of a small cluster. */
  AlwaysEjectOne: 'outrider.dev/always-eject-one',
  /** DestinationRule: percent of errors within an interval that ejects. */
  FailurePercentage: 'outrider.dev/outlier-failure-percentage',
  /** DestinationRule: thousandths of a standard deviation below the others' success that eject. */
  SuccessRate: 'outrider.dev/outlier-success-rate',
} as const
