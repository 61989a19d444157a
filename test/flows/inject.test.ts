import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { emptyFolder } from '../support/folder.ts'
import { Running } from '../support/running.ts'
import { serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const main = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))

/** `outrider inject ...` as people type it. */
function inject(
  admin: number,
  ...words: string[]
): Promise<{ code: number; out: string; err: string }> {
  const args = [main, 'inject', ...words, ...(words.length > 0 ? ['--admin-port', `${admin}`] : [])]
  return new Promise((done) =>
    execFile(process.execPath, args, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code), out, err }),
    ),
  )
}

t.test('faults by command hold in every worker until they end', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'web.yaml'), serviceYaml('web', [upstream.port]))
  await using running = new Running([
    '--config',
    folder,
    '--namespace',
    'default',
    '--workers',
    '2',
  ])
  const { outbound, admin } = await running.ready()
  const statuses = async (n = 8) => {
    const replies = await Promise.all(
      Array.from({ length: n }, () => ask(outbound, { headers: { host: 'web' } })),
    )
    return [...new Set(replies.map(({ status }) => status))]
  }
  t.same(await statuses(), [200])

  const set = await inject(admin, 'set', 'web', 'abort 418', '--for', '10m')
  t.match(set, {
    code: 0,
    out: /^1 {2}web\.default\.svc\.cluster\.local {2}abort 418 {2}600 s left\n/,
  })
  // The command returns when the workers have been told, not when they have read it.
  while ((await statuses()).join() !== '418');
  const reply = await ask(outbound, { headers: { host: 'web' } })
  t.match(reply.body, /^fault filter abort\n\nOn purpose 100 % of these requests are answered 418/)
  t.match(reply.headers['x-outrider-origin'], /^POST \/faults lease-1 admin:/)
  t.match(await inject(admin, 'list'), { code: 0, out: /^1 {2}web/ })

  t.match(await inject(admin, 'set', 'wbe', 'abort 418'), { code: 2, err: /knows no service wbe/ })
  t.match(await inject(admin, 'clear', '9'), { code: 1, err: /there is no 9/ })
  t.match(await inject(admin, 'clear'), { code: 0, out: '1 ended\n' })
  while ((await statuses()).join() !== '200');

  await inject(admin, 'set', 'web', 'refuse', '--for', '300ms')
  while ((await statuses()).join() !== '503');
  while ((await statuses()).join() !== '200');
  t.match(await inject(admin, 'list'), { out: 'nothing is disturbed\n' })
  t.match(await inject(1, 'list'), { code: 1, err: /no proxy's admin port at 127\.0\.0\.1:1/ })
})
