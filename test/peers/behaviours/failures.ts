/** Upstreams that break: what the client gets, and what the log says about it. */
import type { Behaviour } from '../behaviour.ts'
import { asks, kept } from '../client-steps.ts'
import type { Script } from '../upstream.ts'

/** One GET to an endpoint that misbehaves so. */
function broken(
  name: string,
  host: string,
  script: Script,
  more: Partial<Behaviour> = {},
): Behaviour {
  return { name, host, services: { [host]: [script] }, client: asks({}), ...more }
}

/** Says this and nothing else, then ends the connection, as a FIN or a reset. */
const says =
  (text: string, end: 'fin' | 'reset' | 'stay' = 'stay'): Script =>
  (call) => {
    call.raw(text)
    if (end === 'fin') call.socket.end()
    // the bytes must be on their way before the reset takes the rest
    if (end === 'reset') setImmediate(() => setImmediate(() => call.reset()))
  }

export const failures: readonly Behaviour[] = [
  {
    name: 'a refused connection: 503 with flag UF, after the default retries',
    host: 'refused',
    services: { refused: ['refused'] },
    client: asks({}),
  },
  {
    name: 'a connection that nobody accepts: 503 with flag UF after connectTimeout',
    host: 'unanswered',
    services: { unanswered: ['silent'] },
    istio: { policy: { connectionPool: { tcp: { connectTimeout: '0.2s' } } } },
    envoy: { cluster: { connect_timeout: '0.2s' } },
    client: async (client) => {
      await client.timed('reply', 200, client.ask({}))
    },
  },
  broken('a connection closed before the reply: 503 with flag UC', 'closed', (call) => {
    call.socket.end()
  }),
  broken('a connection reset before the reply: 503 with flag UC', 'reset', (call) => call.reset()),
  broken('a head that breaks off', 'halfhead', says('HTTP/1.1 200 OK\r\ncontent-le', 'fin')),
  broken('a reply that is not HTTP: 502 with flag UPE', 'garbage', says('garbage\r\n\r\n')),
  broken('a reply of another protocol', 'ssh', says('SSH-2.0-OpenSSH_9.2\r\n')),
  broken(
    'a status that is no number',
    'badstatus',
    says('HTTP/1.1 2xx OK\r\ncontent-length: 0\r\n\r\n'),
  ),
  broken(
    'a reply with two lengths',
    'twolengths',
    says('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc'),
  ),
  broken(
    'a reply with Content-Length and Transfer-Encoding',
    'bothframings',
    says(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ),
    {
      ignores: [/^reply 1: (?!status)/, /^log 1: (?!status)/],
      differs: [
        {
          why: 'reply-lengths',
          at: { 'reply 1: status': ['200', '502'], 'log 1: status': ['200', '502'] },
        },
      ],
    },
  ),
  broken(
    'a reply with an unknown transfer coding',
    'oddcoding',
    says('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc', 'fin'),
  ),
  broken(
    '204 with a length',
    'nolength',
    says('HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc'),
  ),
  broken(
    '204 with a transfer coding',
    'nocoding',
    says('HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
  ),
  broken('101 to a request without Upgrade', 'unasked', says('HTTP/1.1 101 Sure\r\n\r\n'), {
    ignores: [/^reply 1: (?!status)/, /^log 1: (?!status)/],
    differs: [
      {
        why: 'unasked-switch',
        at: { 'reply 1: status': ['502', '101'], 'log 1: status': ['502', '101'] },
      },
    ],
  }),
  broken(
    'more than 100 fields in a reply',
    'manyfields',
    says(
      `HTTP/1.1 200 OK\r\n${Array.from({ length: 101 }, (_, i) => `x-${i}: y\r\n`).join('')}\r\n`,
      'fin',
    ),
  ),
  broken(
    'more than 80 KiB of fields in a reply',
    'largefields',
    says(`HTTP/1.1 200 OK\r\nx-large: ${'y'.repeat(90 * 1024)}\r\n\r\n`, 'fin'),
  ),
  broken(
    'a body that ends before its length: the client’s is cut too',
    'short',
    says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'fin'),
  ),
  broken(
    'a body that is reset inside',
    'resetbody',
    says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'reset'),
  ),
  broken(
    'a chunked body without its end',
    'cutchunks',
    says('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n', 'fin'),
  ),
  broken(
    'a chunk size that is no number',
    'badchunks',
    says('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n'),
    // Envoy drops the good chunk too when both come in one packet
    { ignores: ['reply 1: body'] },
  ),
  broken(
    'bytes behind a reply are never handed to the next request',
    'surplus',
    (call) =>
      call.raw(
        call.total === 1
          ? 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'
          : 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood',
      ),
    { client: kept({}, {}) },
  ),
  broken(
    'an early reply reaches a client that is still sending, then the connection closes',
    'early',
    (call) => call.reply(413, 'too much'),
    {
      client: async (client) => {
        const wire = await client.wire()
        wire.send('POST / HTTP/1.1\r\nHost: early\r\ncontent-length: 1000000\r\n\r\npart')
        await wire.answer()
        client.notes['end'] = await wire.ended()
      },
    },
  ),
  broken(
    'a client that goes away before the reply takes the upstream request with it',
    'gone',
    () => {},
    {
      client: async (client) => {
        const wire = await client.wire()
        wire.send('GET / HTTP/1.1\r\nHost: gone\r\n\r\n')
        await client.arrived(1)
        wire.abort()
      },
      logs: 1,
    },
  ),
  broken('a client that goes away inside its body', 'halfway', () => {}, {
    client: async (client) => {
      const wire = await client.wire()
      wire.send('POST / HTTP/1.1\r\nHost: halfway\r\ncontent-length: 10\r\n\r\nhalf')
      await client.arrived(1)
      wire.abort()
    },
    logs: 1,
  }),
  broken(
    'a client that goes away inside the reply',
    'leaving',
    says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
    {
      client: async (client) => {
        const wire = await client.wire()
        wire.send('GET / HTTP/1.1\r\nHost: leaving\r\n\r\n')
        await wire.started('half')
        wire.abort()
      },
      logs: 1,
    },
  ),
  broken(
    'broken chunks of a request that is under way: the client is told, the upstream is cut',
    'cutupload',
    async (call) => {
      await call.whole
      call.reply(200)
    },
    {
      client: async (client) => {
        const wire = await client.wire()
        wire.send(
          'POST / HTTP/1.1\r\nHost: cutupload\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n',
        )
        await client.arrived(1)
        wire.send('nonsense\r\n')
        await wire.answer()
      },
      logs: 1,
    },
  ),
]
