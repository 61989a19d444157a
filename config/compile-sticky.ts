/** The annotation by which callers keep their destination while weights change. */
import { Annotation } from './annotation-names.ts'
import type { VirtualService } from './compile-rules.ts'
import type { StickyKeySpec, StickySpec } from './snapshot.ts'

/** Undefined: every request is drawn. */
export function stickySpec(source: VirtualService): StickySpec | undefined {
  const text = source.annotations[Annotation.StickyWeights]
  const key = text === undefined ? '' : readStickyKey(text)
  if (typeof key === 'string') return undefined
  const origin = source.originAt(['metadata', 'annotations', Annotation.StickyWeights])
  return { key, origin }
}

/** `header:x-user`, `cookie:session`, `query:user` or `source-ip`; a sentence where it is none. */
export function readStickyKey(text: string): StickyKeySpec | string {
  if (text === 'source-ip') return { kind: 'source-ip' }
  const [, kind, name = ''] = /^(header|cookie|query):([^\s;,=]+)$/.exec(text) ?? []
  if (kind === 'header') return { kind, name: name.toLowerCase() }
  if (kind === 'cookie' || kind === 'query') return { kind, name }
  return `"${text}" is neither header:NAME, cookie:NAME, query:NAME nor source-ip`
}
