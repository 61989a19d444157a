/** Objects found by labels, and equal labels kept once: there may be a hundred thousand Pods. */
import { hasLabels, type Labels } from './compile-names.ts'
import { compareText } from './diagnostics.ts'

/** Objects by namespace; a label name is indexed when the first selector asks for it. */
export class LabelIndex<Item> {
  private readonly namespaces = new Map<string, Item[]>()
  private readonly indexes = new Map<string, Map<string, Item[]>>()
  private readonly labelsOf: (item: Item) => Labels

  constructor(
    items: Iterable<Item>,
    namespaceOf: (item: Item) => string,
    labelsOf: (item: Item) => Labels,
  ) {
    this.labelsOf = labelsOf
    for (const item of items) put(this.namespaces, namespaceOf(item), item)
  }

  /** An empty selector selects the whole namespace. */
  *find(namespace: string, selector: Labels): Generator<Item> {
    let best = this.namespaces.get(namespace)
    if (best === undefined) return
    for (const name in selector) {
      const found = this.index(namespace, name).get(selector[name]!)
      if (found === undefined) return
      if (found.length < best.length) best = found
    }
    for (const item of best) if (hasLabels(this.labelsOf(item), selector)) yield item
  }

  private index(namespace: string, name: string): Map<string, Item[]> {
    const key = `${namespace} ${name}`
    const known = this.indexes.get(key)
    if (known !== undefined) return known
    const index = new Map<string, Item[]>()
    for (const item of this.namespaces.get(namespace) ?? []) {
      const value = this.labelsOf(item)[name]
      if (value !== undefined) put(index, value, item)
    }
    this.indexes.set(key, index)
    return index
  }
}

/** Equal labels become one object with sorted keys: Pods of one Deployment share it. */
export class LabelPool {
  /** By the labels as written, so that most lookups need no sorting. */
  private readonly written = new Map<string, Labels>()
  private readonly sorted = new Map<string, Labels>()

  shared(labels: Labels): Labels {
    let text = ''
    for (const name in labels) text += `${name}=${labels[name]}\n`
    const known = this.written.get(text)
    if (known !== undefined) return known
    const entries = Object.entries(labels).sort(([a], [b]) => compareText(a, b))
    const key = JSON.stringify(entries)
    const shared = this.sorted.get(key) ?? Object.fromEntries(entries)
    this.sorted.set(key, shared)
    this.written.set(text, shared)
    return shared
  }
}

export function put<Key, Item>(map: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [item])
  else list.push(item)
}
