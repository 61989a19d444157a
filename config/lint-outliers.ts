/** outlierDetection that can never eject an endpoint, or whose ejections come to nothing: told at its line. */
import { Annotation } from './annotation-names.ts'
import type { OutlierDetection, PolicyBlocks, TrafficPolicy } from './kinds.ts'
import {
  fullHost,
  type MeshIndex,
  type Of,
  originText,
  selects,
  type Target,
} from './mesh-index.ts'
import type { Path } from './resource.ts'

type Rule = Of<'DestinationRule'>
type Labels = Readonly<Record<string, string>>

const noLabels: Labels = {}

export function lintOutliers(index: MeshIndex): void {
  const slices = new Slices(index)
  for (const rule of index.of('DestinationRule')) {
    const { trafficPolicy, subsets } = rule.spec
    const [target] = index.targets(fullHost(rule.spec.host, rule.namespace))
    const place = { rule, target, slices, index }
    if (trafficPolicy !== undefined)
      lintPolicy(place, trafficPolicy, ['spec', 'trafficPolicy'], noLabels)
    for (const [position, subset] of subsets.entries())
      if (subset.trafficPolicy !== undefined) {
        const path = ['spec', 'subsets', position, 'trafficPolicy']
        lintPolicy(place, subset.trafficPolicy, path, subset.labels)
      }
  }
}

interface Place {
  readonly rule: Rule
  readonly target: Target | undefined
  readonly slices: Slices
  readonly index: MeshIndex
}

function lintPolicy(place: Place, policy: TrafficPolicy, path: Path, labels: Labels): void {
  lintBlocks(place, policy, path, labels)
  for (const [position, settings] of policy.portLevelSettings.entries())
    lintBlocks(place, settings, [...path, 'portLevelSettings', position], labels)
}

function lintBlocks(place: Place, blocks: PolicyBlocks, base: Path, labels: Labels): void {
  const { outlierDetection, loadBalancer } = blocks
  if (outlierDetection === undefined) return
  const { rule, index } = place
  const path = [...base, 'outlierDetection']
  const say = (field: string, message: string, hint: string) =>
    index.add('warning', 'OUT-OUTLIER', rule, field === '' ? path : [...path, field], message, hint)
  if (loadBalancer?.simple === 'PASSTHROUGH' || goesWhereDialed(place.target)) {
    say(
      '',
      'has no effect: the client chooses the address itself, and nobody else can serve it',
      '',
    )
    return
  }
  if (countsNothing(outlierDetection, rule)) {
    const hint = 'Set consecutive5xxErrors or consecutiveGatewayErrors above 0.'
    say('', 'counts nothing: consecutive5xxErrors is 0 and no other number is set', hint)
    return
  }
  lintOrder(outlierDetection, say)
  lintShare(place, outlierDetection, labels, say)
}

type Say = (field: string, message: string, hint: string) => void

function countsNothing(outliers: OutlierDetection, { annotations }: Rule): boolean {
  if (outliers.consecutive5xxErrors !== 0 || (outliers.consecutiveGatewayErrors ?? 0) > 0)
    return false
  if (outliers.splitExternalLocalOriginErrors === true) return false
  return (
    annotations[Annotation.FailurePercentage] === undefined &&
    annotations[Annotation.SuccessRate] === undefined
  )
}

/** Gateway errors are 5xx as well. */
function lintOrder(outliers: OutlierDetection, say: Say): void {
  const { consecutive5xxErrors: all = 5, consecutiveGatewayErrors: some = 0 } = outliers
  if (some <= all || all === 0) return
  const message = `${some} is never reached: gateway errors are 5xx too, and ${all} of those in a row eject before`
  say('consecutiveGatewayErrors', message, 'Make it smaller than consecutive5xxErrors.')
}

function lintShare(place: Place, outliers: OutlierDetection, labels: Labels, say: Say): void {
  const { rule, target } = place
  const percent = outliers.maxEjectionPercent || 10
  const field = outliers.maxEjectionPercent === undefined ? '' : 'maxEjectionPercent'
  const { minHealthPercent = 0 } = outliers
  if (100 - percent < minHealthPercent) {
    const message = `with minHealthPercent ${minHealthPercent}, all endpoints are used again, ejected ones too, as soon as more than ${100 - minHealthPercent} % are out, and ${percent} % may be`
    say('minHealthPercent', message, '')
  }
  if (target === undefined) return
  const count = place.slices.endpoints(target, labels)
  if (count === 0 || 100 / count <= percent) return
  const eased = rule.annotations[Annotation.AlwaysEjectOne] === 'true'
  if (eased && count > 1) return
  const one = Math.ceil(100 / count)
  const many = count === 1 ? 'the only endpoint' : `one of ${count} endpoints`
  const message = `nobody is ever ejected: ${many} of ${target.host} (${originText(target.resource)}) is ${one} %, and maxEjectionPercent ${field === '' ? 'is 10 when not written' : `is ${percent}`}`
  const hint =
    count === 1
      ? 'With one endpoint there is no other to turn to.'
      : `Set maxEjectionPercent to ${one} or more, or the annotation ${Annotation.AlwaysEjectOne}: "true".`
  say(field, message, hint)
}

export function goesWhereDialed(target: Target | undefined): boolean {
  if (target?.resource.kind === 'ServiceEntry') return target.resource.spec.resolution === 'NONE'
  return target?.resource.spec.clusterIPs.includes('None') === true
}

/** How many endpoints a service will have, as far as the files tell. */
class Slices {
  private readonly index: MeshIndex
  /** Addresses by `namespace/service`. */
  private addresses: ReadonlyMap<string, ReadonlySet<string>> | undefined

  constructor(index: MeshIndex) {
    this.index = index
  }

  /** 0: not known. */
  endpoints({ resource }: Target, labels: Labels): number {
    if (resource.kind === 'ServiceEntry') {
      const { endpoints, resolution, workloadSelector } = resource.spec
      if (workloadSelector !== undefined)
        return this.workloads(resource.namespace, { ...workloadSelector, ...labels })
      // A name may have any number of addresses.
      if (resolution !== 'STATIC') return 0
      return endpoints.filter((endpoint) => selects(labels, endpoint.labels)).length
    }
    const { selector } = resource.spec
    if (Object.keys(selector).length > 0) {
      const count = this.workloads(resource.namespace, { ...selector, ...labels })
      if (count > 0) return count
    }
    if (Object.keys(labels).length > 0) return 0
    return this.bySlice().get(`${resource.namespace}/${resource.name}`)?.size ?? 0
  }

  /** Pods where there are any, else what their templates ask for. */
  private workloads(namespace: string, wanted: Labels): number {
    const selected = this.index.selected(namespace, wanted)
    const real = selected.filter(({ kind }) => kind === 'Pod' || kind === 'WorkloadEntry').length
    if (real > 0) return real
    return selected.reduce((sum, { replicas }) => sum + replicas, 0)
  }

  private bySlice(): ReadonlyMap<string, ReadonlySet<string>> {
    if (this.addresses !== undefined) return this.addresses
    const addresses = new Map<string, Set<string>>()
    for (const slice of this.index.of('EndpointSlice')) {
      const service = slice.labels['kubernetes.io/service-name']
      if (service === undefined) continue
      const key = `${slice.namespace}/${service}`
      const set = addresses.get(key) ?? new Set()
      addresses.set(key, set)
      for (const endpoint of slice.spec.endpoints)
        if (endpoint.ready) for (const address of endpoint.addresses.slice(0, 1)) set.add(address)
    }
    this.addresses = addresses
    return addresses
  }
}
