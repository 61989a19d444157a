/** Connection pools and keepalive: DestinationRule, Sidecar and MeshConfig share them. */
import type { ConnectionPool } from '../kinds.ts'
import { later, named, need, object } from './object.ts'
import type { Place } from './reading.ts'
import { boolean, duration, enumeration, integer, type Type, uint32 } from './scalars.ts'

const count = integer(0)

export const tcpKeepalive: Type = object({
  probes: uint32,
  time: named('timeMs', duration()),
  interval: named('intervalMs', duration()),
})

const tcp: Type = object({
  maxConnections: count,
  connectTimeout: named('connectTimeoutMs', duration()),
  idleTimeout: named('idleTimeoutMs', duration({ zero: true })),
  maxConnectionDuration: named('maxConnectionDurationMs', duration()),
  tcpKeepalive,
})

interface Http {
  readonly h2UpgradePolicy?: string
  readonly useClientProtocol?: boolean
}

const http: Type = object<Http>(
  {
    http1MaxPendingRequests: count,
    http2MaxRequests: count,
    maxRequestsPerConnection: count,
    maxRetries: count,
    idleTimeout: named('idleTimeoutMs', duration()),
    h2UpgradePolicy: later(enumeration(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'])),
    useClientProtocol: later(boolean),
    maxConcurrentStreams: later(count),
    http2KeepAlive: later(
      object({
        interval: need(duration(), 'the interval is missing'),
        timeout: need(duration(), 'the timeout is missing'),
      }),
    ),
  },
  {
    rules: [
      (value, place) => {
        if (value.useClientProtocol === true && value.h2UpgradePolicy === 'UPGRADE')
          place.error(['useClientProtocol'], 'cannot be combined with h2UpgradePolicy UPGRADE')
      },
    ],
  },
)

function checkPool(_: ConnectionPool, place: Place): void {
  if (!place.has('tcp') && !place.has('http')) place.error([], 'tcp or http settings are needed')
}

export const connectionPool: Type = object<ConnectionPool>({ tcp, http }, { rules: [checkPool] })
