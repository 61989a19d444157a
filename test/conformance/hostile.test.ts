import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { Running } from '../support/running.ts'
import { Upstream } from '../support/upstream.ts'

const host = 'Host: web.example\r\n'
const lines = (n: number, line: string) => line.repeat(n)

/** What is sent, what comes back, whether the upstream sees it. The client's FIN follows at once. */
const vectors: ReadonlyArray<readonly [name: string, sent: string, status: RegExp, seen: boolean]> =
  [
    [
      'CL and TE',
      `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      /^400/,
      false,
    ],
    [
      'a list of lengths',
      `POST / HTTP/1.1\r\n${host}Content-Length: 5, 6\r\n\r\nhello`,
      /^400/,
      false,
    ],
    [
      'gzip, chunked',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      /^501/,
      false,
    ],
    [
      'space before the colon',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
      /^400/,
      false,
    ],
    [
      'a chunk size beyond numbers',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n`,
      /^400/,
      false,
    ],
    [
      'LF alone behind a chunk size',
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
      /^400/,
      false,
    ],
    ['two Hosts', `GET / HTTP/1.1\r\n${host}${host}\r\n`, /^400/, false],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^400/, false],
    ['102 headers', `GET / HTTP/1.1\r\n${host}${lines(101, 'a: b\r\n')}\r\n`, /^431/, false],
    [
      '61 KiB of headers',
      `GET / HTTP/1.1\r\n${host}a: ${lines(61 * 1024, 'x')}\r\n\r\n`,
      /^431/,
      false,
    ],
    [
      '70 KiB of request line',
      `GET /${lines(70 * 1024, 'x')} HTTP/1.1\r\n${host}\r\n`,
      /^(414|431)/,
      false,
    ],
    ['NUL in a value', `GET / HTTP/1.1\r\n${host}a: \0\r\n\r\n`, /^400/, false],
    [
      'a nominated forwarded field',
      `GET / HTTP/1.1\r\n${host}Connection: x-forwarded-for\r\n\r\n`,
      /^400/,
      false,
    ],
    ['an expectation nobody knows', `GET / HTTP/1.1\r\n${host}Expect: foo\r\n\r\n`, /^417/, false],
    ['no HTTP at all', 'EHLO mail.example\r\n\r\n', /^400/, false],
    ['half a head, then the end', 'GET / HTTP/1.1\r\nHo', /^400/, false],
    ['a plain one', `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, /^200/, true],
  ]

/** Everything that comes back when `sent` is all that is sent. */
function exchange(port: number, sent: string): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(sent, 'latin1'))
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1')
    })
    socket.on('error', failed)
    socket.on('close', () => done(got))
  })
}

function mesh(port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: default }
spec:
  hosts: [web.example]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]
`
}

t.test('every hostile input is answered, kept from the upstream, and logged once', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const folder = t.testdir({ 'web.yaml': mesh(upstream.port) })
  const log = join(folder, 'access.log')
  const config = ['--config', join(folder, 'web.yaml'), '--workers', '1', '--access-log', log]
  await using proxy = new Running(config)
  const { outbound: port } = await proxy.ready()
  for (const [name, sent, status, seen] of vectors) {
    const before = upstream.requests.length
    const got = await exchange(port, sent)
    t.match(got.replace(/^HTTP\/1\.1 /, ''), status, name)
    t.equal(got.match(/^HTTP\/1\.1 \d/gm)?.length, 1, `${name}: one reply`)
    t.equal(upstream.requests.length - before, seen ? 1 : 0, `${name}: seen upstream`)
  }
  proxy.child.kill('SIGTERM')
  t.equal((await proxy.ended()).code, 0)
  const logged = readFileSync(log, 'latin1').trimEnd().split('\n')
  t.equal(logged.length, vectors.length, 'one line for each')
  for (const [i, [name, , status]] of vectors.entries())
    t.match(/ (\d{3}) /.exec(logged[i] ?? '')?.[1], status, `${name}: ${logged[i]?.slice(0, 160)}`)
})

t.test('pipelined requests are answered in order, also behind a slow one', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => {
    if (incoming.url === '/1') setTimeout(() => reply.end('one;'), 50)
    else reply.end(incoming.url === '/2' ? 'two;' : 'three;')
  })
  const folder = t.testdir({ 'web.yaml': mesh(upstream.port) })
  await using proxy = new Running(['--config', folder, '--workers', '1', '--access-log', 'off'])
  const { outbound } = await proxy.ready()
  const ask = (n: number) => `GET /${n} HTTP/1.1\r\n${host}\r\n`
  const got = await exchange(outbound, ask(1) + ask(2) + ask(3))
  t.match(got, /one;.*two;.*three;/s)
})
