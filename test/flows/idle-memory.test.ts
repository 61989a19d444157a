/** What a proxy takes that has nothing to do: two workers, the bookinfo mesh, through the launcher. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { emptyFolder } from '../support/folder.ts'
import { Running } from '../support/running.ts'
import { serviceYaml } from '../support/sidecar.ts'

const limitMiB = 100

function folderOf(t: Test): string {
  const folder = emptyFolder(t)
  for (const name of ['productpage', 'details', 'reviews', 'ratings'])
    writeFileSync(join(folder, `${name}.yaml`), serviceYaml(name, [9080]))
  return folder
}

test(`two idle workers take at most ${limitMiB} MiB`, async (t) => {
  const args = ['--config', folderOf(t), '--ip', '127.0.0.1', '--workers', '2']
  const start = async (): Promise<Running> => {
    const running = new Running(args, 'launcher')
    await running.said(/ is ready after /)
    return running
  }
  // The first run of a checkout compiles the sources, and keeps what came of it when it ends.
  await using first = await start()
  first.child.kill('SIGTERM')
  t.equal((await first.ended()).code, 0)
  await using running = await start()
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 100 && least > limitMiB; i++) {
    await new Promise((done) => setTimeout(done, 100))
    least = Math.min(least, running.rss / 2 ** 20)
  }
  t.ok(least <= limitMiB, `${least.toFixed(1)} MiB`)
})
