/** `npm start`: the mesh stays up, and a table shows who answers, as you edit the YAML. */
import { join, relative } from 'node:path'
import { Interrupted, type Interruption } from './interruption.ts'
import { versionServed } from './measure.ts'
import { configFolder } from './members.ts'
import { type Ground, Mesh } from './mesh.ts'

const versions = ['v1', 'v2', 'v3'] as const
const everyMs = 2_000
const perSecond = 40

/** Ends when it is interrupted: once the table runs, that is how it ends well. */
export async function watchMesh(
  ground: Ground,
  say: (line: string) => void,
  interruption: Interruption,
): Promise<void> {
  await using mesh = await Mesh.start(ground, configFolder, interruption)
  const rules = relative(process.cwd(), join(configFolder, 'reviews.yaml'))
  say(`Bookinfo is up, ${ground.description}.

  page    ${ground.pageUrl}      (?user=jason signs jason in)
  rules   ${rules}      edit the weights and save
  logs    ${mesh.folder}
  Ctrl-C ends it.

Who answers for reviews, of the requests of the last two seconds:
`)
  say(`time      ${versions.map((v) => v.padEnd(28)).join('')}failed`)
  try {
    for (;;) {
      say(await interruption.or(sample(ground.pageUrl)))
      mesh.mustLive()
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error
  }
}

/** One row. */
async function sample(pageUrl: string): Promise<string> {
  const counts = new Map<string, number>()
  let failed = 0
  const asking: Array<Promise<void>> = []
  const timer = setInterval(() => {
    const asked = versionServed(pageUrl).then((version) => {
      if (version.startsWith('v')) counts.set(version, (counts.get(version) ?? 0) + 1)
      else failed++
    })
    asking.push(asked)
  }, 1_000 / perSecond)
  await new Promise((done) => setTimeout(done, everyMs))
  clearInterval(timer)
  await Promise.all(asking)
  return row(counts, failed)
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
