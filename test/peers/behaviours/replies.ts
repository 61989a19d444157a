/** Odd replies of applications, byte for byte, and requests whose handling shows only in a second try. */
import { type Behaviour, destination, retries, to } from '../behaviour.ts'
import { asks, kept } from '../client-steps.ts'
import { firstThen, ok, type Script, statuses } from '../upstream.ts'

/** The first reply is this text; later ones are plain. */
function odd(name: string, host: string, text: string, more: Partial<Behaviour> = {}): Behaviour {
  const script = firstThen((call) => {
    call.raw(text)
    if (!/content-length|chunked|204|304/i.test(text)) call.socket.end()
  }, ok)
  return { name, host, services: { [host]: [script] }, client: asks({}), ...more }
}

const http = (status: string, ...lines: string[]): string =>
  `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`

const length = 'content-length: 2'

/** Refused here, mended by Envoy: only the statuses are compared. */
const strict: Partial<Behaviour> = {
  ignores: [/^reply 1: (?!status)/, /^log 1: (?!status)/],
  differs: [
    {
      why: 'strict-replies',
      at: { 'reply 1: status': ['502', '200'], 'log 1: status': ['502', '200'] },
    },
  ],
}

export const replies: readonly Behaviour[] = [
  odd('a status without reason', 'noreason', `${http('200', length)}ok`),
  odd('a status that nobody knows', 'unknownstatus', `${http('299 Fine', length)}ok`),
  odd('a status of 599', 'status599', `${http('599 Odd', length)}ok`),
  odd('a status of 999', 'status999', `${http('999 Odd', length)}ok`),
  odd('a status of two digits', 'status20', `${http('20 OK', length)}ok`),
  odd(
    'a version of HTTP/2.0 in text',
    'version2',
    `HTTP/2.0 200 OK\r\n${length}\r\n\r\nok`,
    strict,
  ),
  odd('an empty line before the status line', 'crlfbefore', `\r\n${http('200 OK', length)}ok`),
  odd('space around values', 'spaces', `${http('200 OK', length, 'x-a:   b  ', 'x-b:\tc\t')}ok`),
  odd('space before the colon of a reply', 'replycolon', `${http('200 OK', length, 'x-a : b')}ok`),
  odd(
    'a folded line in a reply',
    'replyfold',
    `${http('200 OK', length, 'x-a: b', ' c')}ok`,
    strict,
  ),
  odd('a bare LF in a reply', 'replylf', `HTTP/1.1 200 OK\n${length}\r\n\r\nok`, strict),
  odd('NUL in a value of a reply', 'replynul', `${http('200 OK', length, 'x-a: b\0c')}ok`),
  odd('an empty name in a reply', 'replynoname', `${http('200 OK', length, ': b')}ok`),
  odd('a signed length in a reply', 'replyplus', `${http('200 OK', 'content-length: +2')}ok`),
  odd('the same length twice in a reply', 'sametwice', `${http('200 OK', length, length)}ok`),
  odd('a list of lengths in a reply', 'replylist', `${http('200 OK', 'content-length: 2, 2')}ok`),
  odd('bytes above ASCII in a value', 'latin', `${http('200 OK', length, 'x-a: caf\xe9')}ok`),
  odd(
    '304 with a length and no body',
    'length304',
    http('304 Not Modified', 'content-length: 5', 'etag: "x"'),
    { client: kept({}, {}) },
  ),
  odd('102 before the reply', 'processing', `${http('102 Processing')}${http('200 OK', length)}ok`),
  odd('an interim status nobody knows', 'odd199', `${http('199 Odd')}${http('200 OK', length)}ok`, {
    differs: [{ why: 'all-interim', at: { 'reply 1: interim 1': ['199', undefined] } }],
  }),
  odd(
    '100 that nobody asked for',
    'unasked100',
    `${http('100 Continue')}${http('200 OK', length)}ok`,
  ),
  odd(
    'chunks with extensions, and sizes in capitals',
    'extensions',
    `${http('200 OK', 'transfer-encoding: Chunked')}A;x="y"\r\n0123456789\r\n0;z\r\n\r\n`,
  ),
  {
    name: 'HEAD whose reply has a body all the same: it is not taken for the next reply',
    host: 'headbody',
    services: {
      headbody: [
        (call) =>
          call.raw(
            `${http('200 OK', 'content-length: 4', `x-n: ${call.total}`)}${call.total === 1 ? 'body' : 'good'}`,
          ),
      ],
    },
    client: kept({ method: 'HEAD' }, {}),
  },
  {
    name: 'HEAD whose reply is chunked',
    host: 'headchunked',
    services: { headchunked: [(call) => call.raw(http('200 OK', 'transfer-encoding: chunked'))] },
    client: asks({ method: 'HEAD' }),
    differs: [
      { why: 'head-framing', at: { 'reply 1: transfer-encoding': [undefined, 'chunked'] } },
    ],
  },
]

/** What a second try must not do twice. */
function again(
  name: string,
  host: string,
  rule: object,
  route: object,
  more: object = {},
): Behaviour {
  const policy = { retries: { attempts: 2, retryOn: '5xx' } }
  return {
    name,
    host,
    services: { [host]: [statuses(503, 503, 200)] },
    istio: { http: [{ ...policy, ...rule, route: [destination(host)] }] },
    envoy: {
      routes: [
        {
          match: { prefix: '/' },
          route: to(host, { retry_policy: retries('5xx'), ...route }),
          ...more,
        },
      ],
    },
    client: asks({ method: 'POST', path: '/old/path?q', body: 'x' }),
  }
}

const chunkedPost: Script = statuses(503, 200)

export const twice: readonly Behaviour[] = [
  again(
    'a header that is added is added once, however often it is tried',
    'addonce',
    { headers: { request: { add: { 'x-added': 'one' } } } },
    {},
    { request_headers_to_add: [{ header: { key: 'x-added', value: 'one' } }] },
  ),
  again(
    'a rewrite happens once, however often it is tried',
    'rewriteonce',
    { match: [{ uri: { prefix: '/' } }], rewrite: { uri: '/new/', authority: 'new.example' } },
    { prefix_rewrite: '/new/', host_rewrite_literal: 'new.example' },
  ),
  {
    name: 'a chunked body is sent again whole',
    host: 'chunkedagain',
    services: { chunkedagain: [chunkedPost] },
    istio: {
      http: [{ retries: { attempts: 1, retryOn: '5xx' }, route: [destination('chunkedagain')] }],
    },
    envoy: {
      routes: [
        { match: { prefix: '/' }, route: to('chunkedagain', { retry_policy: retries('5xx', 1) }) },
      ],
    },
    client: async (client) => {
      const wire = await client.wire()
      wire.send('POST / HTTP/1.1\r\nHost: chunkedagain\r\ntransfer-encoding: chunked\r\n\r\n')
      wire.send('3\r\nabc\r\n')
      wire.send('4\r\ndefg\r\n0\r\n\r\n')
      await wire.answer()
    },
  },
  {
    name: 'a mirror gets one copy, however often it is tried',
    host: 'mirroronce',
    services: {
      mirroronce: [statuses(503, 503, 200)],
      'mirroronce-copy': [(call) => call.reply(200)],
    },
    istio: {
      http: [
        {
          retries: { attempts: 2, retryOn: '5xx' },
          mirror: { host: 'mirroronce-copy' },
          route: [destination('mirroronce')],
        },
      ],
    },
    envoy: {
      routes: [
        {
          match: { prefix: '/' },
          route: to('mirroronce', {
            retry_policy: retries('5xx'),
            request_mirror_policies: [
              {
                cluster: 'mirroronce-copy',
                disable_shadow_host_suffix_append: true,
                runtime_fraction: { default_value: { numerator: 100 } },
              },
            ],
          }),
        },
      ],
    },
    client: async (client) => {
      await client.ask({})
      const copies = () => client.seen.filter(({ endpoint }) => endpoint.includes('copy')).length
      await client.until(() => copies() > 0)
      client.notes['copies'] = String(copies())
    },
    // the copy arrives before or after the tries
    ignores: [/^upstream \d/, /^reply 1: /, /^log 1: /],
  },
  {
    name: 'a client that ends its side behind a whole request',
    host: 'clientfin',
    client: async (client) => {
      const wire = await client.wire()
      wire.send('GET / HTTP/1.1\r\nHost: clientfin\r\n\r\n')
      wire.socket.end()
      await wire.answer()
    },
    logs: 1,
    ignores: [/^upstream/, /^reply 1: (?!status)/, /attempts$/],
    differs: [
      {
        why: 'client-fin',
        at: {
          'reply 1: status': ['200', '0'],
          'log 1: status': ['200', '0'],
          'log 1: flags': ['-', 'DC'],
          'log 1: details': ['via_upstream', 'downstream_remote_disconnect'],
        },
      },
    ],
  },
]
