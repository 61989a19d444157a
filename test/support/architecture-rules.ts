/** The rules of the house over modules that were read: each returns its breaches as sentences. */
import type { Import, Module } from './source-tree.ts'

/** `types` marks what may be imported as types only; a folder always may import itself. */
interface Layer {
  readonly may: readonly string[]
  readonly types?: readonly string[]
}

const snapshot = ['config/snapshot.ts']
const traffic = ['base', 'net', 'http', 'http1', 'http2', 'protocol', 'identity', 'telemetry']
  .concat(['filters', 'routing', 'upstream', 'exchange', 'tcp', 'listeners', 'worker'])
  .map((folder) => `proxy/${folder}`)

const below = (...folders: string[]): string[] => folders.map((folder) => `proxy/${folder}`)

/** The layer table: who may import whom. A folder that is not listed may import anything but tests. */
export const layers: ReadonlyMap<string, Layer> = new Map([
  ['proxy/base', { may: [] }],
  ['proxy/net', { may: below('base') }],
  // the contract of the codecs names the connection a codec owns
  ['proxy/http', { may: below('base'), types: ['proxy/net/connection.ts'] }],
  ['proxy/telemetry', { may: below('base', 'net', 'http'), types: snapshot }],
  ['proxy/http1', { may: below('base', 'net', 'http') }],
  ['proxy/http2', { may: below('base', 'net', 'http') }],
  ['proxy/protocol', { may: below('base', 'net', 'http', 'http1', 'http2') }],
  ['proxy/identity', { may: below('base', 'net'), types: snapshot }],
  ['proxy/filters', { may: below('base', 'net', 'http', 'telemetry'), types: snapshot }],
  ['proxy/routing', { may: below('base', 'http', 'filters'), types: snapshot }],
  [
    'proxy/upstream',
    { may: below('base', 'net', 'http', 'protocol', 'identity', 'telemetry'), types: snapshot },
  ],
  [
    'proxy/exchange',
    {
      may: below('base', 'net', 'http', 'telemetry', 'filters', 'routing', 'upstream'),
      types: snapshot,
    },
  ],
  [
    'proxy/tcp',
    { may: below('base', 'net', 'telemetry', 'upstream', 'protocol'), types: snapshot },
  ],
  // config/ports.ts: the one home of the address that deliveries to the application come from
  [
    'proxy/listeners',
    {
      may: [...traffic.filter((folder) => folder !== 'proxy/worker'), 'config/ports.ts'],
      types: snapshot,
    },
  ],
  ['proxy/worker', { may: [...traffic, 'config/ports.ts'], types: snapshot }],
  [
    'proxy/control',
    {
      may: [...below('base', 'net', 'identity', 'telemetry'), 'config'],
      types: ['proxy/worker/messages.ts'],
    },
  ],
  ['proxy/cli', { may: ['proxy', 'config', 'iptables', 'examples'] }],
  ['proxy', { may: ['proxy', 'config', 'iptables'] }],
  ['config', { may: [] }],
  ['iptables', { may: ['config/ports.ts'] }],
  ['examples', { may: ['proxy', 'config', 'iptables'] }],
])

const isWithin = (path: string, place: string): boolean =>
  path === place || path.startsWith(`${place}/`)

/** The longest listed folder a file lies in. */
function layerOf(file: string): string | undefined {
  return [...layers.keys()]
    .filter((folder) => isWithin(file, folder))
    .sort((a, b) => b.length - a.length)[0]
}

export function layerBreaches(modules: readonly Module[]): string[] {
  return modules.flatMap(({ file, imports }) => {
    const folder = layerOf(file)
    if (folder === undefined) return []
    return imports
      .filter((each) => each.target !== undefined && !mayImport(folder, each, each.target))
      .map((each) => `${file}:${each.line}: ${folder} may not import ${each.target}`)
  })
}

function mayImport(folder: string, { typeOnly }: Import, target: string): boolean {
  if (layerOf(target) === folder) return true
  const { may, types = [] } = layers.get(folder)!
  if (may.some((place) => isWithin(target, place))) return true
  return typeOnly && types.includes(target)
}

/** Node's own HTTP stack and undici serve off the hot path; traffic goes through our codecs. */
const httpStacks = new Set(
  ['http', 'http2', 'https']
    .flatMap((name) => [name, `node:${name}`])
    .concat('undici', 'http2-wrapper'),
)

export function httpStackBreaches(modules: readonly Module[]): string[] {
  return modules
    .filter(({ file }) => traffic.some((folder) => isWithin(file, folder)))
    .flatMap(({ file, imports }) =>
      imports
        .filter(({ specifier }) => httpStacks.has(specifier))
        .map(({ specifier, line }) => `${file}:${line}: ${specifier} is not for the traffic path`),
    )
}

/** Rings of imports, type imports included: each named once, from its first file. */
export function cycles(modules: readonly Module[]): string[] {
  const byFile = new Map(modules.map((module) => [module.file, module]))
  const state = new Map<string, 'open' | 'done'>()
  const path: string[] = []
  const rings: string[] = []
  const visit = (file: string): void => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      rings.push([...path.slice(path.indexOf(file)), file].join(' -> '))
      return
    }
    state.set(file, 'open')
    path.push(file)
    for (const { target, dynamic } of byFile.get(file)?.imports ?? [])
      if (target !== undefined && !dynamic) visit(target)
    path.pop()
    state.set(file, 'done')
  }
  for (const { file } of modules) visit(file)
  return rings
}

const limits = { fileLines: 350, testFileLines: 500, functionLines: 60 }

const isTest = (file: string): boolean => isWithin(file, 'test')

export function lengthBreaches(modules: readonly Module[]): string[] {
  return modules.flatMap(({ file, lines, functions }) => {
    const limit = isTest(file) ? limits.testFileLines : limits.fileLines
    const found = lines > limit ? [`${file}: ${lines} lines, at most ${limit}`] : []
    if (isTest(file)) return found
    const long = functions.filter((each) => each.lines > limits.functionLines)
    return found.concat(
      long.map(
        ({ name, line, lines }) =>
          `${file}:${line}: ${name} has ${lines} lines, at most ${limits.functionLines}`,
      ),
    )
  })
}

/** Hot files open by naming their bench: it must be there. `text` and `exists` take paths within the project. */
export function benchBreaches(
  modules: readonly Module[],
  text: (file: string) => string,
  exists: (file: string) => boolean,
): string[] {
  return modules
    .filter(({ file }) => isWithin(file, 'proxy'))
    .flatMap(({ file }) =>
      [...text(file).matchAll(/\bbench\/[\w./-]+\.ts\b/g)]
        .filter(([named]) => !exists(named))
        .map(([named]) => `${file}: ${named} does not exist`),
    )
}

const topLevel = new Set(
  ['proxy', 'iptables', 'config', 'bench', 'test', 'examples', 'docs', 'package.json']
    .concat(['package-lock.json', 'tsconfig.json', 'biome.json', 'Dockerfile', 'README.md'])
    .concat(['LICENSE', 'node_modules', 'dist']),
)

export function topLevelBreaches(entries: readonly string[]): string[] {
  return entries
    .filter((entry) => !entry.startsWith('.') && !topLevel.has(entry))
    .map((entry) => `${entry} does not belong on the top level`)
}
