/** The orders in which resources come, and whether two lists of them are the same. */
import { compareText } from './diagnostics.ts'
import type { Resource } from './resource.ts'

type Aged = Pick<Resource, 'created' | 'name' | 'namespace'>

/** Istio's "oldest wins": sorts by creation, then name, then namespace. */
export function orderKey(resource: Aged): string {
  const created = String(Math.max(0, resource.created)).padStart(15, '0')
  return `${created} ${resource.name} ${resource.namespace}`
}

export function byAge(a: Aged, b: Aged): number {
  return (
    a.created - b.created || compareText(a.name, b.name) || compareText(a.namespace, b.namespace)
  )
}

/** The same items in the same order. */
export function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
