/** Reads a TypeScript project as the architecture rules see it: modules, their imports, their functions. */
import { dirname, join, relative } from 'node:path'
import type { Node, SourceFile } from 'typescript/unstable/ast'
import {
  isCallExpression,
  isExportDeclaration,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isStringLiteral,
  SyntaxKind,
} from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/sync'

export interface Import {
  /** What the code says: `../base/errors.ts`, `node:net`, `yaml`. */
  readonly specifier: string
  /** The module it means, relative to the project; undefined for a package. */
  readonly target: string | undefined
  readonly line: number
  /** `import type` or `import('...').Type`: gone before the program runs. */
  readonly typeOnly: boolean
  /** `import(...)` when the program runs: it makes no cycle at load. */
  readonly dynamic: boolean
}

export interface FunctionSize {
  readonly name: string
  readonly line: number
  readonly lines: number
}

export interface Module {
  /** Relative to the project: `proxy/net/dial.ts`. */
  readonly file: string
  readonly lines: number
  readonly imports: readonly Import[]
  readonly functions: readonly FunctionSize[]
}

/** Every module that the tsconfig.json in this folder includes. */
export function readModules(root: string): Module[] {
  const api = new API({ cwd: root })
  try {
    const snapshot = api.updateSnapshot({ openProject: join(root, 'tsconfig.json') })
    const project = snapshot.getProjects()[0]!
    return project.rootFiles
      .map((file) => readModule(root, file, project.program.getSourceFile(file)!))
      .sort((a, b) => (a.file < b.file ? -1 : 1))
  } finally {
    api.close()
  }
}

function readModule(root: string, path: string, source: SourceFile): Module {
  const lineStarts = startsOfLines(source.text)
  const lineAt = (offset: number) => lineStarts.findLastIndex((start) => start <= offset) + 1
  const imports: Import[] = []
  const functions: FunctionSize[] = []
  const visit = (node: Node): void => {
    const found = importOf(node)
    if (found !== undefined)
      imports.push({
        ...found,
        target: targetOf(root, path, found.specifier),
        line: lineAt(node.getStart(source)),
      })
    if (hasBody(node)) {
      const line = lineAt(node.getStart(source))
      functions.push({ name: nameOf(node), line, lines: lineAt(node.getEnd() - 1) - line + 1 })
    }
    node.forEachChild(visit)
  }
  visit(source)
  const lines = source.text.endsWith('\n') ? lineStarts.length - 1 : lineStarts.length
  return { file: relative(root, path), lines, imports, functions }
}

function startsOfLines(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

function targetOf(root: string, path: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? relative(root, join(dirname(path), specifier)) : undefined
}

type Found = Pick<Import, 'specifier' | 'typeOnly' | 'dynamic'>

function importOf(node: Node): Found | undefined {
  if (isImportDeclaration(node) && isStringLiteral(node.moduleSpecifier)) {
    const typeOnly = node.importClause?.phaseModifier === SyntaxKind.TypeKeyword
    return { specifier: node.moduleSpecifier.text, typeOnly, dynamic: false }
  }
  if (isExportDeclaration(node)) {
    const from = node.moduleSpecifier
    if (from === undefined || !isStringLiteral(from)) return undefined
    return { specifier: from.text, typeOnly: node.isTypeOnly, dynamic: false }
  }
  if (isImportTypeNode(node) && isLiteralTypeNode(node.argument)) {
    const literal = node.argument.literal
    if (!isStringLiteral(literal)) return undefined
    return { specifier: literal.text, typeOnly: true, dynamic: false }
  }
  if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) {
    const from = node.arguments[0]
    if (from === undefined || !isStringLiteral(from)) return undefined
    return { specifier: from.text, typeOnly: false, dynamic: true }
  }
  return undefined
}

const functionKinds: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.ArrowFunction,
  SyntaxKind.Constructor,
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.GetAccessor,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.SetAccessor,
])

const hasBody = (node: Node): boolean =>
  functionKinds.has(node.kind) && (node as { body?: Node }).body !== undefined

/** The function's own name, else that of the variable or property it is given to. */
function nameOf(node: Node): string {
  if (node.kind === SyntaxKind.Constructor) return 'constructor'
  const own = (node as { name?: { text?: string } }).name?.text
  const givenTo = (node.parent as { name?: { text?: string } } | undefined)?.name?.text
  return own ?? givenTo ?? 'a function'
}
