/** What holds for the whole mesh, and the policy for destinations nobody has declared. */
import type { MeshConfigSpec, SidecarSpec } from './kinds.ts'
import type { Resource } from './resource.ts'
import type { MeshSpec, OutboundPolicySpec } from './snapshot.ts'

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

export function meshSpec(settings: MeshConfigSpec, domain: string): MeshSpec {
  const { trustDomain, rootNamespace, pathNormalization, protocolDetectionTimeoutMs } = settings
  const { accessLogFile, accessLogEncoding, accessLogFormat } = settings
  return {
    trustDomain,
    domain,
    rootNamespace,
    pathNormalization,
    protocolDetectionTimeoutMs,
    accessLogFile,
    accessLogEncoding,
    accessLogFormat,
  }
}

/** The Sidecar's word, else the mesh's, else ALLOW_ANY. A block without mode was read as REGISTRY_ONLY. */
export function outboundPolicy(
  sidecar: Sidecar | undefined,
  config: MeshConfig | undefined,
): OutboundPolicySpec {
  const own = sidecar?.spec.outboundTrafficPolicy
  if (sidecar !== undefined && own !== undefined)
    return { mode: own.mode, origin: sidecar.originAt(['spec', 'outboundTrafficPolicy']) }
  const mesh = config?.spec.outboundTrafficPolicy
  if (config !== undefined && mesh !== undefined)
    return { mode: mesh.mode, origin: config.originAt(['spec', 'outboundTrafficPolicy']) }
  return { mode: 'ALLOW_ANY', origin: undefined }
}
