/** `npm run build`: makes dist/, the plain JavaScript that the published package and the image run. */
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const dist = join(root, 'dist')

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const project = join(root, 'proxy/tsconfig.build.json')
  const { status } = spawnSync(process.execPath, [tsc, '--project', project], { stdio: 'inherit' })
  if (status !== 0) fail('tsc found errors')
}

const sourceUrl = /(?:new URL|import\.meta\.resolve)\(\s*['"`][^'"`]+\.ts['"`]/

/** tsc rewrites imports, not URLs: `new URL('./main.ts', import.meta.url)` would point nowhere. */
function refuseSourceUrls(): void {
  for (const file of globSync('**/*.js', { cwd: dist })) {
    const found = sourceUrl.exec(readFileSync(join(dist, file), 'utf8'))
    if (found !== null) fail(`dist/${file} points at a TypeScript file: ${found[0]})`)
  }
}

/** What the programs read beside their code: the examples' YAML and pages, the package's version. */
function copyCompanions(): void {
  for (const file of globSync('examples/**/*.*', { cwd: root, exclude: ['**/*.ts'] })) {
    mkdirSync(dirname(join(dist, file)), { recursive: true })
    cpSync(join(root, file), join(dist, file))
  }
  const { name, version, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ name, version, type })}\n`)
}

function fail(reason: string): never {
  console.error(`build: ${reason}`)
  rmSync(dist, { recursive: true, force: true })
  process.exit(1)
}

rmSync(dist, { recursive: true, force: true })
compile()
refuseSourceUrls()
copyCompanions()
