/**
 * Time read once per turn of the event loop, so that hot code may ask for it freely. Whoever starts a
 * turn (a socket read, a timer tick, a connect) calls `refresh`. Tests set their own readers.
 */
export class Clock {
  /** Monotonic milliseconds, fractional. */
  now: number
  private readonly readMonotonic: () => number
  private readonly readWall: () => number

  constructor(readMonotonic = (): number => performance.now(), readWall = Date.now) {
    this.readMonotonic = readMonotonic
    this.readWall = readWall
    this.now = readMonotonic()
  }

  refresh(): number {
    this.now = this.readMonotonic()
    return this.now
  }

  /** Milliseconds since 1970; for people and logs, never for durations. */
  wall(): number {
    return this.readWall()
  }
}

/** The clock of this thread. */
export const clock = new Clock()
