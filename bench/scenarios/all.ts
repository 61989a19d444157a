import { bulk, logged, small, splice } from './closed-loop.ts'
import type { Scenario } from './scenario.ts'

/** In the order of running: neighbours share running proxies. */
export const all: readonly Scenario[] = [...small, ...bulk, ...logged, ...splice]
