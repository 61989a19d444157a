/**
 * How requests are divided over levels of nearness: the nearest level that is well enough gets all, a
 * weak one lets a part spill over to the next (Envoy's priorities, overprovisioning factor 1.4).
 */

export interface LevelHealth {
  readonly usable: number
  readonly total: number
}

export interface LevelLoad {
  /** All levels together: 100, or 0 when nobody can be used. */
  readonly percent: number
  /** So few are usable that all are used, whatever their state. */
  readonly panic: boolean
}

const overprovisioning = 140

/** Part of its full load that a set can take, in percent. */
export function availability({ usable, total }: LevelHealth): number {
  return total === 0 ? 0 : Math.min(100, Math.floor((overprovisioning * usable) / total))
}

/** `panicPercent` 0: never panic. */
export function loadOfLevels(
  levels: readonly LevelHealth[],
  panicPercent: number,
): readonly LevelLoad[] {
  const available = levels.map(availability)
  const sum = Math.min(
    100,
    available.reduce((all, percent) => all + percent, 0),
  )
  const panics = levels.map(
    ({ usable, total }) => sum < 100 && total > 0 && (100 * usable) / total < panicPercent,
  )
  const isEmpty = (i: number) => levels[i]!.total === 0
  if (panicPercent > 0 && panics.every((panic, i) => panic || isEmpty(i))) return byCount(levels)
  if (sum === 0) return levels.map(() => ({ percent: 0, panic: false }))
  const loads: number[] = []
  let left = 100
  for (const percent of available) {
    const load = Math.min(left, Math.floor((percent * 100) / sum))
    loads.push(load)
    left -= load
  }
  // What rounding has left over belongs to the first that takes anything.
  const first = loads.findIndex((load) => load > 0)
  return loads.map((load, i) => ({ percent: i === first ? load + left : load, panic: panics[i]! }))
}

/** Everything is bad: each endpoint gets the same. */
function byCount(levels: readonly LevelHealth[]): LevelLoad[] {
  const total = levels.reduce((sum, level) => sum + level.total, 0)
  const loads = levels.map((level) => (total === 0 ? 0 : Math.floor((100 * level.total) / total)))
  const left = total === 0 ? 0 : 100 - loads.reduce((sum, load) => sum + load, 0)
  const last = loads.findLastIndex((load) => load > 0)
  return loads.map((load, i) => ({ percent: i === last ? load + left : load, panic: true }))
}
