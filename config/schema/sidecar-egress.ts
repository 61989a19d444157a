/** egress of a Sidecar: hosts as `namespace/name`, and which listeners may stand together. */

import type { Path } from '../resource.ts'
import { list } from './collections.ts'
import { isAddress, unixPath, wildcardDomain } from './formats.ts'
import type { Place, Verdict } from './reading.ts'
import { string } from './scalars.ts'

export interface EgressView {
  readonly port?: { readonly number: number; readonly protocol: string }
  readonly bind: string
  readonly captureMode: 'DEFAULT' | 'IPTABLES' | 'NONE'
  readonly hosts: readonly string[]
}

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i

/** `~ns/name` excludes; `.`, `*` and `~` alone are special namespaces. */
function importedHost(value: string): Verdict {
  const parts = value.split('/')
  const [namespace, name] = parts
  if (parts.length !== 2 || namespace === '' || name === '' || name === undefined)
    return {
      message: `"${value}" is not namespace/name`,
      hint: 'For example "prod/*" or "./reviews.prod.svc.cluster.local".',
    }
  const plain = namespace!.startsWith('~') ? namespace!.slice(1) : namespace!
  const special = plain === '' || plain === '*' || plain === '.'
  if (!special && !NAMESPACE.test(plain)) return `"${plain}" in "${value}" is not a valid namespace`
  return importedName(value, name)
}

function importedName(value: string, name: string): Verdict {
  if (name === '*' || isAddress(name)) return undefined
  if (/^\*[^.]/.test(name))
    return {
      message: `"${name}" in "${value}" is a partial wildcard`,
      hint: `Write *.${name.slice(1)}.`,
    }
  if (!name.includes('.'))
    return {
      message: `"${name}" in "${value}" is a short name`,
      hint: 'Write the whole name, for example reviews.prod.svc.cluster.local.',
    }
  return wildcardDomain(name)
}

export const egressHosts = list(string(importedHost))

export function checkEgress(
  listeners: readonly EgressView[],
  namespace: string,
  place: Place,
): void {
  const ports = new Set<number>()
  const sockets = new Set<string>()
  listeners.forEach((listener, index) => {
    const at = ['egress', index]
    if (place.emptyAt([...at, 'hosts']))
      place.error([...at, 'hosts'], 'at least one host is needed')
    const problem = bindProblem(listener, place, at)
    if (problem !== undefined) place.error([...at, problem.field], problem.message)
    const number = listener.port?.number
    if (listener.port === undefined || number === undefined) {
      if (index < listeners.length - 1)
        place.error(at, 'the listener without port must be the last one')
    } else if (number === 0) {
      if (sockets.has(listener.bind))
        place.error([...at, 'bind'], `${listener.bind} is listed twice`)
      sockets.add(listener.bind)
    } else {
      if (ports.has(number)) place.error([...at, 'port'], `the port ${number} is listed twice`)
      ports.add(number)
    }
    warnAboutHosts(listener.hosts ?? [], namespace, at, place)
  })
}

function bindProblem(
  listener: EgressView,
  place: Place,
  at: Path,
): { field: string; message: string } | undefined {
  const { bind, port, captureMode } = listener
  if (!bind.startsWith('unix://')) {
    if (port?.number === 0) return { field: 'port', message: 'port 0 is for unix sockets only' }
    if (bind !== '' && !isAddress(bind))
      return { field: 'bind', message: `"${bind}" is not an IP address` }
    return undefined
  }
  place.judge([...at, 'bind'], unixPath(bind.slice('unix://'.length)))
  if (port !== undefined && port.number !== 0)
    return { field: 'port', message: 'a unix socket has the port number 0' }
  if (captureMode === 'IPTABLES')
    return { field: 'captureMode', message: 'must be DEFAULT or NONE for a unix socket' }
  return undefined
}

function warnAboutHosts(hosts: readonly string[], namespace: string, at: Path, place: Place): void {
  const meant = hosts.map((host) => host.replace(/^(~?)\.\//, `$1${namespace}/`))
  for (const [index, host] of meant.entries()) {
    const whole = `${host.slice(0, host.indexOf('/'))}/*`
    const where = [...at, 'hosts', index]
    if (meant.indexOf(host) < index) place.warn(where, `"${hosts[index]}" is listed twice`)
    else if (host !== whole && meant.includes(whole))
      place.warn(where, `"${hosts[index]}" is already selected by "${hosts[meant.indexOf(whole)]}"`)
    const others = hosts.some((other) => other !== host && !other.startsWith('~'))
    if (host === '*/*' && others)
      place.warn(where, '"*/*" already selects everything that the other entries name')
  }
}
