/** Names that must resolve, and objects that must not contradict each other. */
import type { KnownResource } from './kinds.ts'
import type { Found } from './objects.ts'
import type { Problem } from './resource.ts'

/** An object without a schema that others refer to: gateways, Deployments, the raw MeshConfig. */
export interface Bystander {
  readonly found: Found
  readonly namespace: string
  readonly name: string
}

export function checkReferences(
  _resources: readonly KnownResource[],
  _bystanders: readonly Bystander[],
  _refused: ReadonlySet<string>,
): Problem[] {
  return []
}
