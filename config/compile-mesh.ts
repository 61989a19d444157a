/** What holds for the whole mesh, and the policy for destinations nobody has declared. */
import { resolveHost } from './compile-names.ts'
import type { Destination, MeshConfigSpec, SidecarSpec } from './kinds.ts'
import type { Resource } from './resource.ts'
import type { MeshSpec, OutboundPolicySpec, RetrySpec } from './snapshot.ts'

export type MeshConfig = Resource<'MeshConfig', MeshConfigSpec>
export type Sidecar = Resource<'Sidecar', SidecarSpec>

/** Without a MeshConfig. */
const builtIn: MeshConfigSpec = {
  inboundTrafficPolicy: { mode: 'PASSTHROUGH' },
  connectTimeoutMs: 10_000,
  protocolDetectionTimeoutMs: 0,
  defaultServiceExportTo: ['*'],
  defaultVirtualServiceExportTo: ['*'],
  defaultDestinationRuleExportTo: ['*'],
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
  dnsRefreshRateMs: 60_000,
  pathNormalization: 'BASE',
  accessLogFile: '',
  accessLogFormat: '',
  accessLogEncoding: 'TEXT',
}

export function meshSettings(config: MeshConfig | undefined): MeshConfigSpec {
  return config?.spec ?? builtIn
}

export function meshSpec(
  settings: MeshConfigSpec,
  domain: string,
  inboundRetries: RetrySpec | undefined,
): MeshSpec {
  const { trustDomain, rootNamespace, pathNormalization, protocolDetectionTimeoutMs } = settings
  const { accessLogFile, accessLogEncoding, accessLogFormat } = settings
  return {
    trustDomain,
    domain,
    rootNamespace,
    pathNormalization,
    protocolDetectionTimeoutMs,
    ...(inboundRetries === undefined ? {} : { inboundRetries }),
    accessLogFile,
    accessLogEncoding,
    accessLogFormat,
  }
}

/** The Sidecar's word, else the mesh's, else ALLOW_ANY. A block without mode was read as REGISTRY_ONLY. */
function egressProxy(
  to: Destination | undefined,
  namespace: string,
  domain: string,
): { readonly egressProxy?: string } {
  if (to?.port === undefined) return {}
  return {
    egressProxy: `outbound|${to.port}|${to.subset}|${resolveHost(to.host, namespace, domain)}`,
  }
}

export function outboundPolicy(
  sidecar: Sidecar | undefined,
  config: MeshConfig | undefined,
  domain: string,
): OutboundPolicySpec {
  const own = sidecar?.spec.outboundTrafficPolicy
  if (sidecar !== undefined && own !== undefined)
    return {
      mode: own.mode,
      ...egressProxy(own.egressProxy, sidecar.namespace, domain),
      origin: sidecar.originAt(['spec', 'outboundTrafficPolicy']),
    }
  const mesh = config?.spec.outboundTrafficPolicy
  if (config !== undefined && mesh !== undefined)
    return { mode: mesh.mode, origin: config.originAt(['spec', 'outboundTrafficPolicy']) }
  return { mode: 'ALLOW_ANY', origin: undefined }
}
