/**
 * Routes of one listener or port, live: `table.match(head, path)` names the route of a request. Hosts
 * and their routes are linked at first use. Hot, nothing is allocated per match; routing/explain.ts
 * is the plain twin; bench/micro/routing.bench.ts.
 *
 *   const table = new RouteTable<Cluster>(spec, { resolve: (d) => clusters.get(d.cluster), port })
 *   head.target = canonicalTarget(head.target, mode)       // `` is 400
 *   const host = table.host(head.authority)                 // undefined: 404, nobody owns the host
 *   const route = host.match(head, pathOf(head.target))     // undefined: 404, host.spec.origin
 *   switch (route.action.kind) ...                          // 'forward' | 'redirect' | 'direct'
 */
import type { Origin, RouteTableSpec, VirtualHostSpec } from '../../config/snapshot.ts'
import type { RequestHead } from '../http/head.ts'
import { HostIndex } from './host-index.ts'
import { type LinkContext, Route } from './route.ts'

export class RouteTable<Target> {
  readonly spec: RouteTableSpec
  private readonly hosts: HostIndex<VirtualHost<Target>>

  constructor(spec: RouteTableSpec, context: LinkContext<Target>) {
    this.spec = spec
    this.hosts = new HostIndex(spec.virtualHosts, (host) => new VirtualHost(host, context))
  }

  /** The virtual host that owns an authority, as sent. */
  host(authority: string): VirtualHost<Target> | undefined {
    return this.hosts.find(authority)
  }

  /** `path`: `pathOf(head.target)`, the target being canonical. */
  match(head: RequestHead, path: string): Route<Target> | undefined {
    return this.hosts.find(head.authority)?.match(head, path)
  }
}

export class VirtualHost<Target> {
  readonly spec: VirtualHostSpec
  readonly routes: ReadonlyArray<Route<Target>>

  constructor(spec: VirtualHostSpec, context: LinkContext<Target>) {
    this.spec = spec
    this.routes = spec.routes.map((route) => new Route(route, context))
  }

  get origin(): Origin {
    return this.spec.origin
  }

  /** The first route whose conditions all hold. */
  match(head: RequestHead, path: string): Route<Target> | undefined {
    const routes = this.routes
    for (let i = 0; i < routes.length; i++) {
      const route = routes[i]!
      if (route.conditions.test(head, path)) return route
    }
    return undefined
  }
}
