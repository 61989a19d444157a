/** Where a sticky rule sends this caller. */
import type { ForwardSpec, StickyKeySpec } from '../../config/snapshot.ts'
import { cookieValue } from '../http/cookies.ts'
import type { RequestHead } from '../http/head.ts'
import { firstParameter } from './predicates.ts'
import { StickySplit } from './sticky-split.ts'

export function stickyText({ destinations, sticky }: ForwardSpec, head: RequestHead): string {
  const { key } = sticky!
  if (key.kind === 'source-ip') return 'the share is chosen by the address of the caller'
  const name = `${key.kind} ${key.name}`
  const text = textOf(key, head)
  if (text === undefined || text === '') return `the request has no ${name}: the share is drawn`
  const names = destinations.map(({ cluster }) => cluster)
  const chosen = names[new StickySplit(names, destinations).index(text)]
  return `${name} is "${text}": always ${chosen}`
}

function textOf(
  key: Exclude<StickyKeySpec, { kind: 'source-ip' }>,
  head: RequestHead,
): string | undefined {
  if (key.kind === 'cookie') return cookieValue(head.headers, key.name)
  if (key.kind === 'query') return firstParameter(head.target, key.name)
  const values = head.headers.all(key.name)
  return values.length === 0 ? undefined : values.sort().join()
}
