/** What one row of the comparison says: the same intent for both proxies, an upstream and a client. */
import type { Dialogue } from './dialogue.ts'
import type { Reason } from './differences.ts'
import type { RawScript, Script, SecureScript } from './upstream.ts'

export interface Difference {
  readonly why: Reason
  /** By path of the observation (`reply 1: status`, `log 1: flags`): what each does. */
  readonly at: Readonly<
    Record<string, readonly [outrider: string | undefined, envoy: string | undefined]>
  >
}

export interface Behaviour {
  /** A claim that holds for both, but for `differs`. */
  readonly name: string
  /** The Host of its requests: a Service, a virtual host and a cluster of that name. */
  readonly host: string
  /** One script per endpoint, by service; default: `host` with one endpoint that answers 200. */
  readonly services?: Readonly<Record<string, readonly Endpoint[]>>
  readonly istio?: {
    /** `spec.http` of the VirtualService of `host`. */
    readonly http?: readonly object[]
    /** `spec.tcp` of the same. */
    readonly tcp?: readonly object[]
    /** `spec.trafficPolicy` of the DestinationRule of `host`. */
    readonly policy?: object
    /** `spec.subsets` of the same. */
    readonly subsets?: readonly object[]
    /** Further whole resources. */
    readonly more?: readonly object[]
  }
  /** What Istio makes of `istio`. */
  readonly envoy?: {
    /** Routes of the virtual host, in order; default: everything to the cluster `host`. */
    readonly routes?: readonly object[]
    /** Fields added to the virtual host. */
    readonly virtualHost?: object
    /** Fields added to cluster `host`. */
    readonly cluster?: object
    /** Which listener takes it; default `http`. */
    readonly listener?: string
    /** Fields of its tcp_proxy. */
    readonly tcp?: object
    /** Instead of one tcp_proxy: one per server name of TLS. */
    readonly chains?: ReadonlyArray<{
      readonly serverNames: readonly string[]
      readonly cluster: string
    }>
  }
  /** Asked as the sidecar of the application, whose one endpoint it is. */
  readonly inbound?: true
  /** Its services are opaque TCP, behind addresses and listeners of their own. */
  readonly tcp?: true
  /** Where its TCP clients dial, if not the address of the service `host`. */
  readonly dials?: { readonly address: string; readonly port: number }
  readonly client: (dialogue: Dialogue) => Promise<void>
  /** Access log lines to wait for; default: one per final reply. */
  readonly logs?: number
  /** Paths of the observation that hang on chance or time; with a reason in a comment beside it. */
  readonly ignores?: readonly (string | RegExp)[]
  readonly differs?: readonly Difference[]
}

/** How an endpoint answers; `refused`: nothing listens; `silent`: the kernel drops the handshake. */
export type Endpoint = Script | RawScript | SecureScript | 'refused' | 'silent'

/** An Envoy route action to `cluster` with Istio's defaults, as it writes them into every route. */
export function to(cluster: string, settings: Readonly<Record<string, unknown>> = {}): object {
  const { timeout = '0s' } = settings
  return { cluster, timeout, max_grpc_timeout: timeout, retry_policy: defaultRetries, ...settings }
}

/** Istio's default retries (istio-observed.md 1). */
export const defaultRetries = retries('connect-failure,refused-stream,unavailable,cancelled')

/** `retries: {attempts, retryOn}` as Istio translates it. */
export function retries(on: string, attempts = 2, settings: object = {}): object {
  const codes = on.split(',').filter((each) => /^\d+$/.test(each))
  const conditions = on.split(',').filter((each) => !/^\d+$/.test(each))
  if (codes.length > 0) conditions.push('retriable-status-codes')
  return {
    retry_on: conditions.join(','),
    num_retries: attempts,
    ...(codes.length > 0 ? { retriable_status_codes: codes.map(Number) } : {}),
    retry_host_predicate: [
      {
        name: 'envoy.retry_host_predicates.previous_hosts',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
        },
      },
    ],
    host_selection_retry_max_attempts: '5',
    ...settings,
  }
}

/** `{destination: {host}}` of a VirtualService. */
export function destination(host: string, settings: object = {}): object {
  return { destination: { host }, ...settings }
}
