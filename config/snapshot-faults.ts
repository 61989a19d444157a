/** Disturbances made on purpose: what a rule, an annotation or a call to the admin port asks for. */
import type { Origin } from './snapshot-origin.ts'

export interface FaultsSpec {
  /** Decisions follow from it and the request's id; undefined: they are drawn. */
  readonly seed: number | undefined
  /** Once per request, before retries and timeouts, as in Istio: delays and aborts only. */
  readonly beforeRetries: readonly FaultSpec[]
  /** In every try, as if the endpoint did it. */
  readonly eachTry: readonly FaultSpec[]
}

export interface FaultSpec {
  readonly action: FaultAction
  /** Of the requests or tries, above 0 to 1. */
  readonly share: number
  readonly origin: Origin
}

export type FaultAction =
  | { readonly kind: 'delay'; readonly ms: number }
  /** `grpcStatus`: what gRPC callers are told; undefined: what belongs to the status. */
  | { readonly kind: 'abort'; readonly status: number; readonly grpcStatus: number | undefined }
  /** The endpoint takes no connection. */
  | { readonly kind: 'refuse' }
  /** The connection breaks behind so many bytes of the reply's body, by reset or in good order. */
  | { readonly kind: 'reset' | 'truncate'; readonly afterBytes: number }
  /** The reply's body comes no faster than that. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }

/** Faults by a call to the admin port: for one service, until they end. */
export interface FaultLease {
  readonly id: number
  /** Full name of the service, or `*`. */
  readonly host: string
  /** Undefined: any. */
  readonly port: number | undefined
  readonly subset: string | undefined
  /** Name of the rule (Istio's route name). */
  readonly route: string | undefined
  readonly faults: FaultsSpec
  /** As it was asked for. */
  readonly text: string
  /** Milliseconds since 1970. */
  readonly until: number
}
