/** One document to what it contributes: its objects, and everything there is to say about them. */
import { basename } from 'node:path'
import { nearest } from './diagnostics.ts'
import {
  checkAnnotations,
  checkTopLevel,
  nameOf,
  namespaceOf,
  readEnvelope,
  titleOf,
} from './envelope.ts'
import type { KnownResource } from './kinds.ts'
import { userIdProblems } from './lint-workloads.ts'
import type { Bystander } from './mesh-index.ts'
import { documentsInside, type Found, type Named, objectsIn, Placed } from './objects.ts'
import type { Document } from './parse.ts'
import { textOf, within } from './raw.ts'
import type { Problem } from './resource.ts'
import { Code, Reading } from './schema/reading.ts'
import { KINDS, type KindSchema, meshConfigSchema, NOT_YET_KINDS } from './schema/registry.ts'

/** Depends on nothing but the document's text, its file's name and the line it begins on. */
export interface LoadedDocument {
  /** In order; `resource` undefined: refused. */
  readonly objects: ReadonlyArray<{
    readonly title: string
    readonly resource: KnownResource | undefined
  }>
  readonly bystanders: readonly Bystander[]
  readonly problems: readonly Problem[]
  /** Not everything in it could be read. */
  readonly broken: boolean
}

export function loadDocument(document: Document): LoadedDocument {
  const loading = new Loading()
  loading.addDocument(document)
  return loading
}

const MESH_FILE = /(^|[-_.])mesh[-_]?(config|cfg)?\.(ya?ml|json)$/i

class Loading implements LoadedDocument {
  readonly objects: Array<LoadedDocument['objects'][number]> = []
  readonly bystanders: Bystander[] = []
  readonly problems: Problem[] = []
  broken = false

  addDocument(document: Document): void {
    const found = objectsIn(document)
    let last = 0
    found.forEach((object, index) => {
      const end = found[index + 1]?.root.at ?? Number.POSITIVE_INFINITY
      const twice = document.problems.filter(({ at, fatal }) => !fatal && at >= last && at < end)
      last = end
      this.addObject(object, twice)
    })
    for (const problem of document.problems)
      if (problem.fatal) this.addSyntaxProblem(document, problem)
    if (found.every(({ kind }) => KINDS.get(kind)?.bulk === true)) document.forget()
  }

  private addSyntaxProblem(document: Document, problem: Document['problems'][number]): void {
    const { file } = document.source
    const { line, column } = document.position(problem.at)
    const { message, hint } = problem
    this.broken = true
    this.problems.push({
      severity: 'error',
      code: Code.Syntax,
      file,
      line,
      column,
      message,
      hint,
      object: '',
    })
  }

  private addObject(found: Found, twice: Document['problems']): void {
    const { kind, root } = found
    if (kind === 'MeshConfig') this.addMeshConfig(found, found, twice)
    else if (kind === 'ConfigMap' && nameOf(root) === 'istio') this.addMeshFromConfigMap(found)
    else if (kind === '') this.addWithoutKind(found, twice)
    else this.addByKind(found, twice)
  }

  private addByKind(found: Found, twice: Document['problems']): void {
    const { kind, root } = found
    const schema = KINDS.get(kind)
    const [group, version] = groupOf(found.apiVersion)
    const bystander = { found, namespace: namespaceOf(root), name: nameOf(root) }
    this.problems.push(...userIdProblems(bystander))
    if (schema !== undefined && schema.group === group && schema.versions.includes(version)) {
      this.addKnown(found, kind, schema, twice)
      return
    }
    if (NOT_YET_KINDS.get(kind) === group) this.addNotYet(found)
    else if (schema !== undefined || NOT_YET_KINDS.has(kind) || group.endsWith('istio.io'))
      this.addMisnamed(found, group)
    this.bystanders.push(bystander)
  }

  private addKnown(
    found: Found,
    kind: string,
    schema: KindSchema,
    twice: Document['problems'],
  ): void {
    const namespace = namespaceOf(found.root, schema.clusterScoped)
    const reading = new Reading(found.document.source, titleOf(kind, namespace, nameOf(found.root)))
    this.addTwice(twice, reading)
    const named = readEnvelope(found, kind, namespace, reading)
    checkAnnotations(found.root, kind, reading)
    if (schema.group.endsWith('istio.io')) checkTopLevel(found.root, reading)
    const spec = readSpec(found, named, schema, reading)
    const again = schema.forgettable === true ? readSpecAgain : undefined
    this.keep(reading, spec === undefined ? undefined : new Placed(found, named, spec, again))
  }

  private addTwice(twice: Document['problems'], reading: Reading): void {
    for (const { at, message, hint } of twice)
      reading.report('error', Code.DuplicateKey, at, message, hint)
  }

  /** Keeps the resource unless its schema refused it. */
  private keep(reading: Reading, resource: Placed<string, unknown> | undefined): void {
    for (const problem of reading.problems) this.problems.push(problem)
    const refused = reading.failed || resource === undefined
    // The registry pairs every kind with the schema that makes its spec.
    const known = refused ? undefined : (resource as unknown as KnownResource)
    this.objects.push({ title: reading.object, resource: known })
  }

  private addNotYet(found: Found): void {
    const { kind, root, document } = found
    const object = titleOf(kind, namespaceOf(root), nameOf(root))
    this.problems.push({
      severity: 'warning',
      code: Code.NotYet,
      ...document.position(root.at),
      file: document.source.file,
      message: `the kind ${kind} is known, not yet implemented: the object has no effect`,
      hint: '',
      object,
    })
  }

  /** Istio's kind under a foreign apiVersion, or a foreign kind under Istio's. */
  private addMisnamed(found: Found, group: string): void {
    const { kind, root, document, apiVersion } = found
    const wanted = KINDS.get(kind) ?? NOT_YET_KINDS.get(kind)
    const expected = typeof wanted === 'string' ? wanted : wanted?.group
    if (expected !== undefined && !group.includes('istio') && apiVersion !== '') return
    const guess = nearest(kind, [...KINDS.keys(), ...NOT_YET_KINDS.keys()])
    const at = within(root, expected === undefined ? 'kind' : 'apiVersion')?.at ?? root.at
    this.problems.push({
      severity: 'warning',
      code: Code.UnknownField,
      ...document.position(at),
      file: document.source.file,
      message:
        expected === undefined
          ? `"${kind}" is not a kind of ${group}: the object is ignored`
          : `"${apiVersion}" is not an apiVersion of ${kind}: the object is ignored`,
      hint:
        expected === undefined
          ? guess === undefined
            ? ''
            : `Did you mean "${guess}"?`
          : `Write ${expected === '' ? 'v1' : `${expected}/v1`}.`,
      object: titleOf(kind, namespaceOf(root), nameOf(root)),
    })
  }

  // --- MeshConfig ---------------------------------------------------------------------------------
  private addWithoutKind(found: Found, twice: Document['problems']): void {
    const { document, root } = found
    if (MESH_FILE.test(basename(document.source.file))) {
      this.addMeshConfig(found, found, twice)
      return
    }
    this.problems.push({
      severity: 'info',
      code: 'OUT-IGNORED',
      ...document.position(root.at),
      file: document.source.file,
      message: 'this is not a Kubernetes object (it has no kind): it is ignored',
      hint: '',
      object: '',
    })
  }

  private addMeshFromConfigMap(found: Found): void {
    const mesh = within(found.root, 'data', 'mesh')
    if (mesh === undefined) return
    for (const document of documentsInside(found.document, mesh)) {
      for (const problem of document.problems)
        if (problem.fatal) this.addSyntaxProblem(document, problem)
      for (const inner of objectsIn(document)) this.addMeshConfig(inner, found, document.problems)
    }
  }

  /** `outer`: the object that carries the name. */
  private addMeshConfig(found: Found, outer: Found, twice: Document['problems']): void {
    const { root } = found
    const spec = within(root, 'spec')
    const body = spec?.kind === 'map' ? spec : root
    const namespace = textOf(within(outer.root, 'metadata', 'namespace')) ?? ''
    const name = nameOf(outer.root) || 'mesh'
    const reading = new Reading(found.document.source, titleOf('MeshConfig', namespace, name))
    this.addTwice(
      twice.filter(({ fatal }) => !fatal),
      reading,
    )
    if (body === spec) reading.enter('spec')
    const read = meshConfigSchema.read(body, reading)
    const named = {
      kind: 'MeshConfig' as const,
      apiVersion: found.apiVersion,
      namespace,
      name,
      labels: {},
      annotations: {},
      created: 0,
    }
    this.bystanders.push({ found, namespace, name })
    this.keep(reading, read === undefined ? undefined : new Placed(found, named, read))
  }
}

function readSpec(found: Found, named: Named, schema: KindSchema, reading: Reading): unknown {
  const type = schema.type(named)
  if (schema.whole === true) return type.read(found.root, reading)
  const raw = within(found.root, 'spec')
  reading.enter('spec')
  const written = raw !== undefined && !(raw.kind === 'scalar' && raw.value === null)
  const spec = type.read(written ? raw : { kind: 'map', at: found.root.at, entries: [] }, reading)
  reading.leave()
  return spec
}

/** Whatever there was to say was said the first time. */
function readSpecAgain(found: Found, named: Named): unknown {
  const reading = new Reading(found.document.source, named.name)
  return readSpec(found, named, KINDS.get(found.kind)!, reading)
}

function groupOf(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf('/')
  return slash === -1 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)]
}
