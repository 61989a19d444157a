/** MeshConfig: what holds for every proxy of the mesh. */
import type { MeshConfigSpec } from '../kinds.ts'
import { connectionPool, tcpKeepalive } from './connection-pool.ts'
import { retries } from './http-route.ts'
import { localityLbSetting, zoneAwareLbSetting } from './load-balancer.ts'
import { checked, type Fields, ignored, later, named, object, or } from './object.ts'
import { outlierDetection } from './outlier-detection.ts'
import type { Place } from './reading.ts'
import { anything, duration, enumeration, string, type Type, text } from './scalars.ts'
import { exportTo } from './shared.ts'

const HOUR_MS = 3_600_000

const outboundTrafficPolicy: Type = object<{ mode: string }>(
  {
    mode: or(enumeration(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']), 'REGISTRY_ONLY'),
  },
  {
    rules: [
      (value, place) => {
        if (value.mode === 'ALLOW_ANY_DYNAMIC_DNS')
          place.warn(
            ['mode'],
            'ALLOW_ANY_DYNAMIC_DNS is known, not yet implemented: it acts as ALLOW_ANY',
            '',
            'OUT-NOTYET',
          )
      },
    ],
    into: ({ mode }) => ({ mode: mode === 'ALLOW_ANY_DYNAMIC_DNS' ? 'ALLOW_ANY' : mode }),
  },
)

const connectTimeout: Type = {
  read(raw, reading) {
    const ms = duration().read(raw, reading)
    if (ms === undefined || ms <= HOUR_MS) return ms
    reading.error(raw.at, 'is longer than 1h')
    return undefined
  },
}

const pathNormalization: Type = object<{ normalization?: string }>(
  {
    normalization: enumeration([
      'DEFAULT',
      'NONE',
      'BASE',
      'MERGE_SLASHES',
      'DECODE_AND_MERGE_SLASHES',
    ]),
  },
  {
    into: ({ normalization }) =>
      normalization === undefined || normalization === 'DEFAULT' ? 'BASE' : normalization,
  },
)

/** What the proxy follows. */
function warnInboundRetries(_: unknown, place: Place): void {
  for (const name of ['perTryTimeout', 'retryRemoteLocalities', 'retryIgnorePreviousHosts'])
    if (place.has(name)) place.warn([name], 'has no effect on requests to the application')
}

const followed: Fields = {
  outboundTrafficPolicy,
  inboundTrafficPolicy: or(
    object({ mode: or(enumeration(['PASSTHROUGH', 'LOCALHOST']), 'PASSTHROUGH') }),
    { mode: 'PASSTHROUGH' },
  ),
  connectTimeout: named('connectTimeoutMs', connectTimeout, 10_000),
  tcpKeepalive,
  defaultHttpRetryPolicy: retries,
  defaultInboundHttpRetryPolicy: checked(retries, warnInboundRetries),
  defaultTrafficPolicy: object<object>({ connectionPool, outlierDetection }),
  localityLbSetting,
  zoneAwareLbSetting,
  protocolDetectionTimeout: named('protocolDetectionTimeoutMs', duration({ zero: true }), 0),
  defaultServiceExportTo: or(exportTo, ['*']),
  defaultVirtualServiceExportTo: or(exportTo, ['*']),
  defaultDestinationRuleExportTo: or(exportTo, ['*']),
  rootNamespace: or(text, 'istio-system'),
  trustDomain: or(
    string((name) => (name === '' ? 'is empty' : undefined)),
    'cluster.local',
  ),
  dnsRefreshRate: named('dnsRefreshRateMs', duration(), 60_000),
  pathNormalization: or(pathNormalization, 'BASE'),
  accessLogFile: or(text, ''),
  accessLogFormat: or(text, ''),
  accessLogEncoding: or(enumeration(['TEXT', 'JSON']), 'TEXT'),
}

/** Known to Istio, without effect here so far: each one that is written is told. */
const NOT_YET = [
  'defaultConfig',
  'enableTracing',
  'extensionProviders',
  'defaultProviders',
  'h2UpgradePolicy',
  'enableAutoMtls',
  'trustDomainAliases',
  'caCertificates',
  'meshMTLS',
  'tlsDefaults',
  'disableEnvoyListenerLog',
  'enableEnvoyAccessLogService',
  'inboundClusterStatName',
  'outboundClusterStatName',
  'proxyHttpPort',
  'serviceSettings',
]

/** Matters of a control plane, or given to this proxy by its own flags. */
const OF_NO_CONCERN = [
  'proxyListenPort',
  'proxyInboundListenPort',
  'ingressClass',
  'ingressService',
  'ingressSelector',
  'ingressControllerMode',
  'configSources',
  'discoverySelectors',
  'certificates',
  'ca',
  'enablePrometheusMerge',
  'verifyCertificateAtClient',
  'serviceScopeConfigs',
  'thriftConfig',
]

export const meshConfig: Type = object<MeshConfigSpec>(
  {
    ...followed,
    ...Object.fromEntries(NOT_YET.map((name) => [name, later(anything)])),
    ...Object.fromEntries(OF_NO_CONCERN.map((name) => [name, ignored(anything)])),
    ...Object.fromEntries(
      ['apiVersion', 'kind', 'metadata'].map((name) => [name, ignored(anything)]),
    ),
  },
  { unknown: 'warning', rules: [checkExports] },
)

function checkExports(spec: MeshConfigSpec, place: Place): void {
  for (const kind of ['Service', 'VirtualService', 'DestinationRule'] as const) {
    const name = `default${kind}ExportTo` as const
    const entries = spec[name]
    if (entries.includes('*') && entries.length > 1)
      place.error([name], '"*" must stand alone', 'Remove the other entries, or this one.')
  }
}
