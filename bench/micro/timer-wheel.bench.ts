/** Deadlines of exchanges: armed and cancelled all the time, fired hardly ever. */
import { Clock } from '../../proxy/base/clock.ts'
import { Timer, TimerWheel } from '../../proxy/base/timer-wheel.ts'
import { measure } from './measure.ts'

let now = 0
const clock = new Clock(() => now)
const wheel = new TimerWheel(clock)
let fired = 0
const owner = { onDeadline: () => fired++ }
const others = Array.from({ length: 10_000 }, () => new Timer(owner))
for (const [i, timer] of others.entries()) wheel.arm(timer, 1000 + i)
const timer = new Timer(owner)

measure('arm and cancel, 10,000 others armed', 1_000_000, () => {
  wheel.arm(timer, 15_000)
  wheel.cancel(timer)
})
measure('arm again, later', 1_000_000, () => {
  wheel.arm(timer, 15_000)
})
measure('setTimeout and clearTimeout, for comparison', 300_000, () => {
  clearTimeout(setTimeout(() => fired++, 15_000))
})
measure('a tick in which one fires', 300_000, () => {
  wheel.arm(timer, 10)
  now += 10
  clock.refresh()
  wheel.sweep()
})
if (fired === 0) console.log('nothing fired')
wheel.stop()
