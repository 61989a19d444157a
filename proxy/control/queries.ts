/** Questions to workers that have not been answered yet: an answer, a deadline or a death settles each. */
export interface PendingQuery {
  readonly id: number
  /** Undefined when nobody answered. */
  readonly answer: Promise<unknown>
}

interface Waiting {
  readonly worker: number
  readonly done: (value: unknown) => void
  readonly deadline: NodeJS.Timeout
}

export class Queries {
  private readonly waiting = new Map<number, Waiting>()
  private last = 0

  open(worker: number, timeoutMs: number): PendingQuery {
    const id = ++this.last
    const answer = new Promise<unknown>((done) => {
      const deadline = setTimeout(() => this.settle(id, undefined), timeoutMs)
      this.waiting.set(id, { worker, done, deadline })
    })
    return { id, answer }
  }

  settle(id: number, value: unknown): void {
    const waiting = this.waiting.get(id)
    if (waiting === undefined) return
    this.waiting.delete(id)
    clearTimeout(waiting.deadline)
    waiting.done(value)
  }

  /** The worker is gone: it will not answer. */
  abandon(worker: number): void {
    for (const [id, waiting] of this.waiting)
      if (waiting.worker === worker) this.settle(id, undefined)
  }
}
