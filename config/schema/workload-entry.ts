/** WorkloadEntry: an endpoint outside Kubernetes; also the members of a ServiceEntry. */
import type { WorkloadEntrySpec } from '../kinds.ts'
import { map } from './collections.ts'
import { dnsLabel, fqdn, isAddress, unixPath } from './formats.ts'
import { object, or } from './object.ts'
import type { Place } from './reading.ts'
import { integer, string, type Type, text, uint32 } from './scalars.ts'
import { labelKey, labelValue } from './shared.ts'

const MAX_PORT = 65_535

const fields = {
  address: or(text, ''),
  ports: or(map(integer(1, MAX_PORT), { key: dnsLabel }), {}),
  labels: or(map(string(labelValue), { key: labelKey }), {}),
  network: or(text, ''),
  locality: or(text, ''),
  weight: or(uint32, 0),
  serviceAccount: or(text, ''),
}

/** A member of a ServiceEntry: its address is judged there, by the entry's resolution. */
export const endpoint: Type = object<WorkloadEntrySpec>(fields, {
  rules: [checkPresence, checkUnix, tellNetwork],
})

/** `labels`: those of the object's metadata, which win over the spec's. */
export function workloadEntry(labels: Readonly<Record<string, string>>): Type {
  return object<WorkloadEntrySpec>(fields, {
    rules: [checkPresence, checkUnix, checkName, tellNetwork],
    into: (spec) => ({ ...spec, labels: { ...spec.labels, ...labels } }),
  })
}

function checkPresence(spec: WorkloadEntrySpec, place: Place): void {
  if (spec.address !== '') return
  if (spec.network === '') place.error([], 'the address is missing')
  else
    place.warn(
      [],
      `there is no address, only the network "${spec.network}": this endpoint gets no traffic here`,
    )
}

/** As in Istio where no gateway of the network is known, and here none ever is. */
function tellNetwork(spec: WorkloadEntrySpec, place: Place): void {
  if (spec.network === '' || spec.address === '') return
  place.warn(['network'], 'no gateway of that network is known: the address is called directly')
}

function checkUnix(spec: WorkloadEntrySpec, place: Place): void {
  if (!spec.address.startsWith('unix://')) return
  place.judge(['address'], unixPath(spec.address.slice('unix://'.length)))
  if (place.has('ports')) place.error(['ports'], 'a unix socket has no ports', 'Remove ports.')
}

function checkName(spec: WorkloadEntrySpec, place: Place): void {
  const { address } = spec
  if (address === '' || address.startsWith('unix://') || isAddress(address)) return
  if (fqdn(address) !== undefined)
    place.error(
      ['address'],
      `"${address}" is neither an IP address nor a host name`,
      'Ports belong into ports.',
    )
}
