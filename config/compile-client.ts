/** For whom a snapshot is compiled, and what the parts of the compiler share. */
import { titleOf } from './envelope.ts'
import type { MeshConfigSpec } from './kinds.ts'
import type { Path, Problem, Resource, Severity } from './resource.ts'
import type { WorkloadSpec } from './snapshot.ts'

export interface Client {
  readonly workload: WorkloadSpec
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly domain: string
  readonly mesh: MeshConfigSpec
  /** Where `mesh` was written, if anywhere. */
  readonly meshConfig: Resource<'MeshConfig', MeshConfigSpec> | undefined
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
  const object = titleOf(resource.kind, resource.namespace, resource.name)
  client.problems.push({ severity, code, file, line, column, message, hint, object })
}

/** `VirtualService default/reviews (routes.yaml:12)` */
export function placeOf(resource: Resource): string {
  const { kind, namespace, name, origin } = resource
  return `${titleOf(kind, namespace, name)} (${origin.file}:${origin.line})`
}
