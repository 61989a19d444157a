/** Who called whom, as label values of Istio's standard metrics. */
import type { WorkloadSpec } from '../../config/snapshot.ts'
import type { Direction } from './exchange-record.ts'

/** What metrics need to know of a cluster; a ClusterSpec has it all. */
export interface ClusterFacts {
  /** `outbound|9080|v1|reviews.default.svc.cluster.local`, `PassthroughCluster`, ... */
  readonly name: string
  /** Fully qualified, or ``. */
  readonly service: string
  readonly serviceName: string
  readonly serviceNamespace: string
}

/** What is known of the other side: for outbound traffic the endpoint (an EndpointSpec has it all). */
export interface PeerFacts {
  readonly workload: string
  readonly labels: Readonly<Record<string, string>>
}

/** Inbound and outbound are told by the cluster's name: Istio's names are fixed. */
export function directionOf(clusterName: string): Direction {
  return clusterName.startsWith('inbound|') || clusterName.startsWith('Inbound')
    ? 'inbound'
    : 'outbound'
}

/** Istio's canonical service name of a workload with these labels. */
export function canonicalService(
  labels: Readonly<Record<string, string>>,
  workload: string,
): string {
  return (
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels['app'] ??
    (workload === '' ? 'unknown' : workload)
  )
}

export function canonicalRevision(labels: Readonly<Record<string, string>>): string {
  return (
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    'latest'
  )
}

interface Party {
  readonly workload: string
  readonly namespace: string
  readonly app: string
  readonly version: string
  readonly service: string
  readonly revision: string
}

const nobody: Party = {
  workload: 'unknown',
  namespace: 'unknown',
  app: 'unknown',
  version: 'unknown',
  service: 'unknown',
  revision: 'latest',
}

function party(
  workload: string,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): Party {
  return {
    workload: known(workload),
    namespace: known(namespace),
    app: labels['app'] ?? 'unknown',
    version: labels['version'] ?? 'unknown',
    service: canonicalService(labels, workload),
    revision: canonicalRevision(labels),
  }
}

/**
 * Label values in the order of `partyLabels`. `cluster` undefined: none was reached. A host name that
 * a client sent never becomes a label: anybody could make as many series as they like.
 */
export function partyValues(
  direction: Direction,
  own: WorkloadSpec,
  cluster: ClusterFacts | undefined,
  peer: PeerFacts | undefined,
): string[] {
  const self = party(own.name, own.namespace, own.labels)
  const outbound = direction === 'outbound'
  const peerNamespace = outbound ? (cluster?.serviceNamespace ?? '') : ''
  const other = peer === undefined ? nobody : party(peer.workload, peerNamespace, peer.labels)
  const source = outbound ? self : other
  const destination = outbound ? other : self
  const fallback = outbound ? 'unknown' : self.service
  const service = cluster === undefined || cluster.service === '' ? fallback : cluster.service
  return [
    outbound ? 'source' : 'destination',
    source.workload,
    source.service,
    source.revision,
    source.namespace,
    'unknown',
    source.app,
    source.version,
    'unknown',
    destination.workload,
    destination.namespace,
    'unknown',
    destination.app,
    destination.version,
    service,
    destination.service,
    destination.revision,
    serviceName(cluster, fallback),
    outbound ? known(cluster?.serviceNamespace ?? '') : self.namespace,
    'unknown',
    outbound ? 'unknown' : 'none',
  ]
}

function serviceName(cluster: ClusterFacts | undefined, fallback: string): string {
  if (cluster === undefined) return fallback
  if (cluster.serviceName !== '') return cluster.serviceName
  return cluster.name.includes('|') ? fallback : cluster.name
}

function known(text: string): string {
  return text === '' ? 'unknown' : text
}
