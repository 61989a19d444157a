/**
 * The version of a snapshot: the same content has the same version, whatever the order of the files.
 * Made of digests of the parts, so that a part which stays is neither written out nor hashed again.
 */
import { hash } from 'node:crypto'
import type { OutboundListenerSpec, Snapshot, VirtualHostSpec } from './snapshot.ts'

type Content = Omit<Snapshot, 'version'>

/** By part: parts never change once they are made. */
const digests = new WeakMap<object, string>()

export function versionOf(snapshot: Content): string {
  const { outbound, clusters, endpointSets, ...rest } = snapshot
  const { listeners, ...policy } = outbound
  const parts = [
    digestOfText(textOf([rest, policy])),
    remembered(listeners, () => listeners.map(digestOfListener).join('')),
    remembered(clusters, () => [...clusters.values()].map(digestOf).join('')),
    remembered(endpointSets, () => {
      let text = ''
      for (const [key, endpoints] of endpointSets) text += key + digestOf(endpoints)
      return text
    }),
  ]
  return digestOfText(parts.join('')).slice(0, 16)
}

/** Of a part that is written as a whole: a cluster, the endpoints of a set, the routes of a host. */
export function digestOf(part: object): string {
  return remembered(part, () => textOf(part))
}

export function digestOfListener(listener: OutboundListenerSpec): string {
  return remembered(listener, () => {
    const hosts = listener.http?.virtualHosts.map(digestOfHost) ?? []
    return `${textOf({ ...listener, http: listener.http?.name })}${hosts.join('')}`
  })
}

/** Routes that many hosts share are written once: a rule for a thousand services is hashed once. */
export function digestOfHost(host: VirtualHostSpec): string {
  return remembered(host, () => textOf({ ...host, routes: digestOf(host.routes) }))
}

function remembered(part: object, text: () => string): string {
  const known = digests.get(part)
  if (known !== undefined) return known
  const made = digestOfText(text())
  digests.set(part, made)
  return made
}

function digestOfText(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 22)
}

function textOf(value: unknown): string {
  return JSON.stringify(value)
}
