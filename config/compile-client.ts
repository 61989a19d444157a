/** For whom a snapshot is compiled, and what the parts of the compiler share. */
import type { MeshConfigSpec } from './kinds.ts'
import type { Path, Problem, Resource, Severity } from './resource.ts'
import type { WorkloadSpec } from './snapshot.ts'

export interface Client {
  readonly workload: WorkloadSpec
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly domain: string
  readonly mesh: MeshConfigSpec
  /** Facts that only this workload's view shows; the compiler adds to it. */
  readonly problems: Problem[]
}

export function tell(
  client: Client,
  severity: Severity,
  code: string,
  resource: Resource,
  path: Path,
  message: string,
  hint = '',
): void {
  const { line, column } = resource.at(path)
  const { file } = resource.origin
  const object = titleOf(resource)
  client.problems.push({ severity, code, file, line, column, message, hint, object })
}

/** `VirtualService default/reviews` */
export function titleOf(resource: Pick<Resource, 'kind' | 'namespace' | 'name'>): string {
  return `${resource.kind} ${resource.namespace}/${resource.name}`
}

/** `VirtualService default/reviews (routes.yaml:12)` */
export function placeOf(resource: Resource): string {
  return `${titleOf(resource)} (${resource.origin.file}:${resource.origin.line})`
}
