/** What is written about balancing but cannot act on a port: told once, where it is written. */
import { type Client, tell } from './compile-client.ts'
import { type BlockPlace, originOf } from './compile-policy-places.ts'
import type { MeshPort, MeshService } from './compile-registry.ts'
import type { LoadBalancerSpec } from './snapshot.ts'

export class UnusedBalancing {
  private readonly client: Client
  private readonly told = new Set<string>()

  constructor(client: Client) {
    this.client = client
  }

  /** `place`: where the loadBalancer block in force is. */
  check(
    { discovery, hostname, headless }: MeshService,
    { number, declared }: MeshPort,
    { kind, hash }: LoadBalancerSpec,
    place: BlockPlace | undefined,
  ): void {
    if (place === undefined || kind === 'PASSTHROUGH') return
    if (discovery === 'original-destination')
      this.tell(
        place,
        `loadBalancer has no effect on ${hostname}: ${headless ? 'it is headless' : 'its resolution is NONE'}, clients choose the address themselves`,
        headless
          ? 'Give the Service a clusterIP to have its endpoints chosen.'
          : 'Use resolution STATIC with endpoints, or DNS.',
      )
    else if (hash !== undefined && hash.key.kind !== 'source-ip' && isOpaque(declared))
      this.tell(
        place,
        `connections to port ${number} of ${hostname} go to any endpoint: what is hashed here is known of HTTP requests only`,
        'Hash useSourceIp for this port, in portLevelSettings.',
      )
  }

  private tell({ resource, path }: BlockPlace, message: string, hint: string): void {
    const key = `${originOf({ resource, path })?.file}:${resource.at(path).line} ${message}`
    if (this.told.has(key)) return
    this.told.add(key)
    tell(this.client, 'warning', 'OUT-BALANCER', resource, path, message, hint)
  }
}

function isOpaque(protocol: MeshPort['declared']): boolean {
  return protocol === 'tcp' || protocol === 'tls'
}
