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
    if (discovery === 'original-destination') this.tell(place, addressesChosen(hostname, headless))
    else if (hash !== undefined && hash.key.kind !== 'source-ip' && isOpaque(declared))
      this.tell(place, keyUnknown(hostname, number))
  }

  private tell({ resource, path }: BlockPlace, { message, hint }: Unused): void {
    const key = `${originOf({ resource, path })?.file}:${resource.at(path).line} ${message}`
    if (this.told.has(key)) return
    this.told.add(key)
    tell(this.client, 'warning', 'OUT-BALANCER', resource, path, message, hint)
  }
}

/** What is told; config/lint-balancing.ts says the same where no workload is known. */
interface Unused {
  readonly message: string
  readonly hint: string
}

export function addressesChosen(hostname: string, headless: boolean): Unused {
  return {
    message: `loadBalancer has no effect on ${hostname}: ${headless ? 'it is headless' : 'its resolution is NONE'}, clients choose the address themselves`,
    hint: headless
      ? 'Give the Service a clusterIP to have its endpoints chosen.'
      : 'Use resolution STATIC with endpoints, or DNS.',
  }
}

export function keyUnknown(hostname: string, port: number): Unused {
  return {
    message: `connections to port ${port} of ${hostname} go to any endpoint: what is hashed here is known of HTTP requests only`,
    hint: 'Hash useSourceIp for this port, in portLevelSettings.',
  }
}

export function isOpaque(protocol: MeshPort['declared']): boolean {
  return protocol === 'tcp' || protocol === 'tls'
}
