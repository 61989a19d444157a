/**
 * Header operations of rules and destinations (Istio Headers), compiled at link time. Within one
 * block: remove, then set, then add (istio-observed 30). A destination's block goes before its rule's,
 * so that the rule wins; of a rule's only destination the configuration has already joined the two.
 */
import type { HeaderOperationsSpec } from '../../config/snapshot.ts'
import type { Headers } from '../http/headers.ts'
import { type EditFacts, ValueTemplate } from './value-template.ts'

interface Edit {
  readonly name: string
  readonly value: ValueTemplate
}

interface Block {
  readonly remove: readonly string[]
  readonly set: readonly Edit[]
  readonly add: readonly Edit[]
}

export class HeaderEdits {
  private readonly blocks: readonly Block[]

  private constructor(blocks: readonly Block[]) {
    this.blocks = blocks
  }

  /** Blocks in the order in which they apply; undefined when they do nothing. */
  static of(blocks: readonly HeaderOperationsSpec[]): HeaderEdits | undefined {
    const effective = blocks.map(compileBlock).filter((block) => !isEmpty(block))
    return effective.length === 0 ? undefined : new HeaderEdits(effective)
  }

  apply(headers: Headers, facts: EditFacts): void {
    for (const block of this.blocks) {
      for (const name of block.remove) headers.remove(name)
      for (const { name, value } of block.set) {
        const text = value.render(facts)
        if (text !== '') headers.set(name, text)
      }
      for (const { name, value } of block.add) {
        const text = value.render(facts)
        if (text !== '') headers.append(name, text)
      }
    }
  }
}

/** The authority that request operations ask for: `host` or `:authority`, set before add. */
export function authorityOf({ set, add }: HeaderOperationsSpec): string | undefined {
  return (set.find(([name]) => isAuthority(name)) ?? add.find(([name]) => isAuthority(name)))?.[1]
}

/** Authorities are rewritten by filters/rewrite.ts; other pseudo fields cannot be edited. */
function isAuthority(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'host' || lower === ':authority'
}

function isField(name: string): boolean {
  return !name.startsWith(':') && name.toLowerCase() !== 'host'
}

function compileBlock({ remove, set, add }: HeaderOperationsSpec): Block {
  return {
    remove: remove.filter(isField),
    set: set.filter(([name]) => isField(name)).map(compileEdit),
    add: add.filter(([name]) => isField(name)).map(compileEdit),
  }
}

function compileEdit([name, value]: readonly [string, string]): Edit {
  return { name, value: new ValueTemplate(value) }
}

function isEmpty({ remove, set, add }: Block): boolean {
  return remove.length + set.length + add.length === 0
}
