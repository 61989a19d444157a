/** apiVersion, kind and metadata: what every object has, checked before its spec is read. */
import { TRAFFIC_DISTRIBUTION } from './annotation-names.ts'
import { didYouMean } from './diagnostics.ts'
import type { Found, Named } from './objects.ts'
import { isBooleanWord } from './parse-scalar.ts'
import { type Raw, type RawMap, textOf, within } from './raw.ts'
import { Code, type Reading } from './schema/reading.ts'

const TOP = ['apiVersion', 'kind', 'metadata', 'spec', 'status']
const METADATA = [
  'name',
  'generateName',
  'namespace',
  'labels',
  'annotations',
  'creationTimestamp',
  'uid',
  'resourceVersion',
  'generation',
  'managedFields',
  'ownerReferences',
  'finalizers',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'clusterName',
]

export function nameOf(root: RawMap): string {
  return (
    textOf(within(root, 'metadata', 'name')) ??
    textOf(within(root, 'metadata', 'generateName')) ??
    ''
  )
}

export function namespaceOf(root: RawMap, clusterScoped = false): string {
  if (clusterScoped) return ''
  return textOf(within(root, 'metadata', 'namespace')) || 'default'
}

/** `VirtualService default/reviews` */
export function titleOf(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`
}

export function readEnvelope<Kind extends string>(
  found: Found,
  kind: Kind,
  namespace: string,
  reading: Reading,
): Named & { readonly kind: Kind } {
  const metadata = within(found.root, 'metadata')
  const labels = readTexts(within(metadata, 'labels'), 'labels', reading)
  const annotations = readTexts(within(metadata, 'annotations'), 'annotations', reading)
  const created = Date.parse(textOf(within(metadata, 'creationTimestamp')) ?? '')
  checkMetadata(metadata, found.root, reading)
  return {
    kind,
    apiVersion: found.apiVersion,
    namespace,
    name: nameOf(found.root),
    labels,
    annotations,
    created: Number.isNaN(created) ? 0 : created,
  }
}

function checkMetadata(metadata: Raw | undefined, root: RawMap, reading: Reading): void {
  if (nameOf(root) === '')
    reading.report('error', Code.Schema, metadata?.at ?? root.at, 'metadata.name: is missing')
  if (metadata?.kind === 'map')
    for (const entry of metadata.entries)
      if (!METADATA.includes(entry.key))
        reading.report(
          'warning',
          Code.UnknownField,
          entry.at,
          `metadata.${entry.key}: there is no field "${entry.key}"`,
          didYouMean(entry.key, METADATA),
        )
}

/** Annotations that would change what the object does, here or at Istio's webhook. */
const REFUSED_ANNOTATIONS = ['istio.io/dry-run', 'internal.istio.io/webhook-always-reject']
const NOT_YET_ANNOTATIONS = ['proxy.istio.io/health-checks-enabled', TRAFFIC_DISTRIBUTION]

export function checkAnnotations(root: RawMap, kind: string, reading: Reading): void {
  const annotations = within(root, 'metadata', 'annotations')
  if (annotations?.kind !== 'map') return
  for (const { key, at } of annotations.entries) {
    const where = `metadata.annotations.${key}`
    if (REFUSED_ANNOTATIONS.includes(key))
      reading.report('error', Code.Schema, at, `${where}: is not possible for this kind`)
    else if (key === TRAFFIC_DISTRIBUTION && (kind === 'Service' || kind === 'ServiceEntry'))
      continue
    else if (NOT_YET_ANNOTATIONS.includes(key))
      reading.report(
        'warning',
        Code.NotYet,
        at,
        `${where} is known, not yet implemented: it has no effect`,
      )
  }
}

/** A key beside spec that Kubernetes does not know is most often a misspelt spec. */
export function checkTopLevel(root: RawMap, reading: Reading): void {
  for (const entry of root.entries)
    if (!TOP.includes(entry.key))
      reading.report(
        'error',
        Code.Schema,
        entry.at,
        `${entry.key}: there is no field "${entry.key}"`,
        didYouMean(entry.key, TOP),
      )
}

const EMPTY: Readonly<Record<string, string>> = Object.freeze({})

function readTexts(
  raw: Raw | undefined,
  what: string,
  reading: Reading,
): Readonly<Record<string, string>> {
  if (raw?.kind !== 'map') {
    if (raw !== undefined && !(raw.kind === 'scalar' && raw.value === null))
      reading.report('error', Code.Schema, raw.at, `metadata.${what}: must be a map`)
    return EMPTY
  }
  const texts: Record<string, string> = {}
  for (const { key, value, at } of raw.entries) {
    if (value.kind === 'scalar' && typeof value.value === 'string') texts[key] = value.value
    else if (!(value.kind === 'scalar' && value.value === null)) {
      const text = textOf(value)
      const hint =
        text === undefined
          ? ''
          : isBooleanWord(text)
            ? `Unquoted ${text} is a boolean in Kubernetes YAML: write "${text}" in quotes.`
            : `Write "${text}" in quotes.`
      const place = value.kind === 'scalar' ? value.at : at
      reading.report('error', Code.Schema, place, `metadata.${what}.${key}: must be text`, hint)
    }
  }
  return texts
}
