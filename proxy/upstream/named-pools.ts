/**
 * Connections of one endpoint by server name, where TLS takes it from the request's host: what was
 * agreed on for one name must not carry requests for another.
 */
import type { ProxyError } from '../base/errors.ts'
import { hostOf } from '../net/address.ts'
import type { Pool } from './pool.ts'

export class NamedPools {
  private readonly pools = new Map<string, Pool>()
  /** Clients ask for the same host again and again. */
  private last: { readonly authority: string; readonly pool: Pool } | undefined = undefined
  private readonly make: (serverName: string, onQuiet: () => void) => Pool

  constructor(make: (serverName: string, onQuiet: () => void) => Pool) {
    this.make = make
  }

  /** For requests to `authority`: the port tells nothing apart. */
  of(authority: string): Pool {
    if (this.last?.authority === authority) return this.last.pool
    const name = hostOf(authority)
    let pool = this.pools.get(name)
    if (pool === undefined) {
      const made: Pool = this.make(name, () => this.forget(name, made))
      this.pools.set(name, made)
      pool = made
    }
    this.last = { authority, pool }
    return pool
  }

  get quiet(): boolean {
    return this.sum((pool) => (pool.quiet ? 0 : 1)) === 0
  }

  sum(count: (pool: Pool) => number): number {
    let sum = 0
    for (const pool of this.pools.values()) sum += count(pool)
    return sum
  }

  drain(): void {
    for (const pool of [...this.pools.values()]) pool.drain()
  }

  close(error: ProxyError): void {
    for (const pool of [...this.pools.values()]) pool.close(error)
  }

  /** Nothing is open under that name: clients may name very many. */
  private forget(name: string, pool: Pool): void {
    if (this.pools.get(name) !== pool || !pool.quiet) return
    this.pools.delete(name)
    this.last = undefined
    pool.drain()
  }
}
