import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import t from 'tap'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, listening, Upstream } from '../support/upstream.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/differences.md'), 'utf8')

t.test('every difference names a test that exists', async (t) => {
  const rows = page.split('\n').filter((line) => /^\| [^|-]/.test(line))
  t.ok(rows.length > 20, 'the tables were read')
  for (const row of rows) {
    const name = row.split('|')[1]?.trim()
    const [, file = '', title = ''] = /`(test\/[^`]+)` "([^"]+)"/.exec(row) ?? []
    const text = existsSync(join(root, file)) && file !== '' ? readText(file) : ''
    t.ok(title !== '' && text.includes(title), `${name}: ${file} "${title}"`)
  }
})

function readText(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

t.test("a method nobody knows is the application's to judge", async (t) => {
  // Node's own client and server know the methods of a list only.
  let asked = ''
  const server = createServer((socket) =>
    socket.once('data', (chunk) => {
      asked = chunk.toString('latin1')
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\njudged')
    }),
  )
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [await listening(server)]) })
  const got = await new Promise<string>((done, failed) => {
    const socket = connect(sidecar.port, '127.0.0.1')
    socket.on('error', failed).once('data', (chunk) => done(chunk.toString('latin1')))
    socket.end('BREW /coffee HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')
  })
  t.match(asked, /^BREW \/coffee HTTP\/1\.1\r\n/)
  t.match(got, /^HTTP\/1\.1 200 OK\r\n/)
  server.close()
})

t.test("the server field is the application's", async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => {
    if (incoming.url === '/named') reply.setHeader('server', 'mine')
    reply.end()
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const named = await ask(sidecar.port, { path: '/named', headers: { host: 'web' } })
  t.equal(named.headers['server'], 'mine')
  const unnamed = await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(unnamed.headers['server'], undefined)
})

t.test('a request to the proxy itself is a loop, and nothing would allow it', async (t) => {
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [1]) })
  const reply = await ask(sidecar.port, { headers: { host: `127.0.0.1:${sidecar.port}` } })
  t.equal(reply.status, 508)
  t.equal(reply.headers['x-outrider-reason'], 'loop_detected')
  t.notMatch(reply.body, /ServiceEntry/)
})
