/** EndpointSlices by the Service they belong to, and which Services' slices changed from one list to the next. */
import { put } from './compile-labels.ts'
import type { Of } from './compile-registry.ts'
import { sameItems } from './order.ts'

type Slice = Of<'EndpointSlice'>

const services = new WeakMap<Slice, string>()

/** `namespace/name` of the Service; `` when it belongs to none that can be called. Remembered: the spec may be forgotten. */
function serviceOf(slice: Slice): string {
  const known = services.get(slice)
  if (known !== undefined) return known
  const name = slice.labels['kubernetes.io/service-name']
  const usable = name !== undefined && slice.spec.addressType !== 'FQDN'
  const service = usable ? `${slice.namespace}/${name}` : ''
  services.set(slice, service)
  return service
}

/** As slices name the Service they belong to. */
export function serviceName({ namespace, name }: Of<'Service'> | Of<'ServiceEntry'>): string {
  return `${namespace}/${name}`
}

const none: readonly Slice[] = []

export class SliceIndex {
  private readonly all: readonly Slice[]
  private readonly byService: ReadonlyMap<string, readonly Slice[]>

  constructor(all: readonly Slice[], before?: SliceIndex) {
    this.all = all
    this.byService = (before && replaced(all, before.all, before.byService)) ?? byServiceOf(all)
  }

  /** Undefined: the Service has no slices, others say where it answers. */
  of(service: string): readonly Slice[] | undefined {
    return this.byService.get(service)
  }

  /** All that belong to a Service. */
  get usable(): Slice[] {
    return this.all.filter((slice) => serviceOf(slice) !== '')
  }

  /** Services whose slices are others than before. */
  changedSince({ byService: before }: SliceIndex): Set<string> {
    const changed = new Set<string>()
    for (const [service, slices] of this.byService) {
      const old = before.get(service) ?? none
      if (slices !== old && !sameItems(slices, old)) changed.add(service)
    }
    for (const service of before.keys()) if (!this.byService.has(service)) changed.add(service)
    return changed
  }
}

function byServiceOf(all: readonly Slice[]): Map<string, Slice[]> {
  const found = new Map<string, Slice[]>()
  for (const slice of all) {
    const service = serviceOf(slice)
    if (service !== '') put(found, service, slice)
  }
  return found
}

/** Where slices stand in place of others of the same Service, and none came or went; else undefined. */
function replaced(
  all: readonly Slice[],
  former: readonly Slice[],
  before: ReadonlyMap<string, readonly Slice[]>,
): Map<string, readonly Slice[]> | undefined {
  if (all.length !== former.length) return undefined
  const found = new Map(before)
  for (let i = 0; i < all.length; i++) {
    const [now, old] = [all[i]!, former[i]!]
    if (now === old) continue
    const service = serviceOf(now)
    if (service !== serviceOf(old)) return undefined
    const list = found.get(service)
    if (list !== undefined)
      found.set(
        service,
        list.map((slice) => (slice === old ? now : slice)),
      )
  }
  return found
}
