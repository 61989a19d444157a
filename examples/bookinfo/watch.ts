/** `npm start`: the mesh stays up, and a table shows who answers, as you edit the YAML. */
import { join, relative } from 'node:path'
import { versionServed } from './measure.ts'
import { configFolder } from './members.ts'
import { type Ground, Mesh } from './mesh.ts'

const versions = ['v1', 'v2', 'v3'] as const
const everyMs = 2_000
const perSecond = 40

export async function watchMesh(ground: Ground, say: (line: string) => void): Promise<void> {
  await using mesh = await Mesh.start(ground, configFolder)
  const rules = relative(process.cwd(), join(configFolder, 'reviews.yaml'))
  say(`Bookinfo is up, ${ground.description}.

  page    ${ground.pageUrl}      (?user=jason signs jason in)
  rules   ${rules}      edit the weights and save
  logs    ${mesh.folder}
  Ctrl-C ends it.

Who answers for reviews, of the requests of the last two seconds:
`)
  say(`time      ${versions.map((v) => v.padEnd(28)).join('')}failed`)
  let stopped = false
  const stop = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        stopped = true
        done()
      })
  })
  while (!stopped) {
    const line = await sample(ground.pageUrl, stop)
    if (line !== undefined) say(line)
    mesh.mustLive()
  }
}

/** One row; undefined when it was interrupted. */
async function sample(pageUrl: string, stop: Promise<void>): Promise<string | undefined> {
  const counts = new Map<string, number>()
  let failed = 0
  let going = true
  const asking: Array<Promise<void>> = []
  const timer = setInterval(() => {
    const asked = versionServed(pageUrl).then((version) => {
      if (version.startsWith('v')) counts.set(version, (counts.get(version) ?? 0) + 1)
      else failed++
    })
    asking.push(asked)
  }, 1_000 / perSecond)
  const interrupted = await Promise.race([
    stop.then(() => true),
    new Promise<boolean>((done) => setTimeout(() => done(false), everyMs)),
  ])
  going = !interrupted
  clearInterval(timer)
  await Promise.all(asking)
  return going ? row(counts, failed) : undefined
}

function row(counts: ReadonlyMap<string, number>, failed: number): string {
  const total = Math.max(
    1,
    [...counts.values()].reduce((sum, n) => sum + n, 0),
  )
  const cells = versions.map((version) => {
    const percent = (100 * (counts.get(version) ?? 0)) / total
    const bar = '█'.repeat(Math.round(percent / 5))
    return `${bar.padEnd(20, '·')} ${percent.toFixed(0).padStart(3)} %  `
  })
  return `${new Date().toTimeString().slice(0, 8)}  ${cells.join('')}${failed}`
}
