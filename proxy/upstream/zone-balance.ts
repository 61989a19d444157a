/** Zone-aware balancing: as much as possible stays in the own locality without overloading it (Envoy). */

/** Endpoints by locality. */
export type Census = ReadonlyMap<string, number>

/**
 * Weight of each locality of `upstream`, by its name. `callers`: where the own service runs.
 * Undefined: zones do not count here, as the set is small, or nobody is in the own one.
 */
export function zoneWeights(
  own: string,
  callers: Census,
  upstream: Census,
  minClusterSize: number,
): ReadonlyMap<string, number> | undefined {
  const size = sumOf(upstream)
  const calling = sumOf(callers)
  const ownCallers = callers.get(own) ?? 0
  const ownShare = (upstream.get(own) ?? 0) / size
  if (size < minClusterSize || upstream.size < 2 || ownShare === 0 || ownCallers === 0)
    return undefined
  const ownPart = ownShare / (ownCallers / calling)
  if (ownPart >= 1) return new Map([[own, 1]])
  const spare = new Map<string, number>()
  for (const [locality, count] of upstream) {
    const free = count / size - (callers.get(locality) ?? 0) / calling
    if (locality !== own && free > 0) spare.set(locality, free)
  }
  const total = sumOf(spare)
  const weights = new Map([[own, ownPart]])
  for (const [locality, free] of spare) weights.set(locality, ((1 - ownPart) * free) / total)
  return weights
}

function sumOf(census: Census): number {
  let sum = 0
  for (const count of census.values()) sum += count
  return sum
}
