/** Times one operation: CPU nanoseconds of this thread, the least of several rounds after warming up. */

export interface Measured {
  readonly name: string
  readonly nanoseconds: number
}

function cpuMicroseconds(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}

/** Runs `operation` `count` times per round; it must use what it makes, or the engine drops it. */
export function measure(name: string, count: number, operation: () => void): Measured {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 15; round++) {
    const began = cpuMicroseconds()
    for (let i = 0; i < count; i++) operation()
    const took = ((cpuMicroseconds() - began) * 1000) / count
    if (round >= 3) least = Math.min(least, took)
  }
  console.log(`${name.padEnd(56)} ${least.toFixed(0).padStart(8)} ns`)
  return { name, nanoseconds: least }
}
