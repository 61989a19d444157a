import { bulk, logged, small, splice } from './closed-loop.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { scale } from './scale.ts'
import type { Scenario } from './scenario.ts'
import { start } from './start.ts'

/** In the order of running: neighbours share running proxies. */
export const all: readonly Scenario[] = [
  ...small,
  ...bulk,
  ...latency,
  ...logged,
  ...splice,
  ...memory,
  ...start,
  ...scale,
]
