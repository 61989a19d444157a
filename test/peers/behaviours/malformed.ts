/** Requests that are refused, each on a connection of its own, and what reached the application. */
import type { Behaviour } from '../behaviour.ts'
import { asks, says } from '../client-steps.ts'
import type { Reason } from '../differences.ts'

const head = (host: string, ...lines: string[]): string =>
  `GET / HTTP/1.1\r\nHost: ${host}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`

/** `text` gets the host's name. */
function refused(name: string, host: string, text: (host: string) => string): Behaviour {
  return { name, host, client: says(text(host)), logs: 1 }
}

/** Only the statuses are compared: what one side refuses the other has answered. */
function unlike(
  name: string,
  host: string,
  why: Reason,
  statuses: readonly [outrider: string, envoy: string],
  text: (host: string) => string,
  settings: Partial<Behaviour> = {},
): Behaviour {
  return {
    name,
    host,
    client: says(text(host), 1, false),
    ignores: [/^upstream/, /^reply 1: (?!status)/, /^log 1: (?!status)/],
    differs: [{ why, at: { 'reply 1: status': statuses, 'log 1: status': statuses } }],
    ...settings,
  }
}

export const malformed: readonly Behaviour[] = [
  refused(
    'Content-Length and Transfer-Encoding together: 400',
    'clte',
    (host) =>
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),
  refused('two equal Content-Length lines: 400', 'clcl', (host) =>
    head(host, 'Content-Length: 0', 'Content-Length: 0'),
  ),
  refused('a list of lengths: 400', 'cllist', (host) => head(host, 'Content-Length: 0, 0')),
  refused('a signed length: 400', 'clplus', (host) => head(host, 'Content-Length: +5')),
  refused('a length beyond 2^63: 400', 'clhuge', (host) =>
    head(host, 'Content-Length: 99999999999999999999'),
  ),
  refused('an unknown transfer coding: 501', 'tegzip', (host) =>
    head(host, 'Transfer-Encoding: gzip, chunked'),
  ),
  refused('space before the colon: 400', 'colon', (host) => head(host, 'X-A : b')),
  refused('a line without colon: 400', 'nocolon', (host) => head(host, 'nonsense')),
  refused('an empty field name: 400', 'noname', (host) => head(host, ': x')),
  refused('NUL in a value: 400', 'nulvalue', (host) => head(host, 'X-A: a\0b')),
  unlike('a bare CR in a value', 'barecr', 'strict', ['400', '200'], (host) =>
    head(host, 'X-A: a\rb'),
  ),
  {
    ...refused('no Host: 400', 'nohost', () => 'GET / HTTP/1.1\r\n\r\n'),
    differs: [{ why: 'protocol-flag', at: { 'log 1: flags': ['DPE', '-'] } }],
  },
  unlike('two Host lines', 'twohosts', 'strict', ['400', '502'], (host) =>
    head(host, 'Host: other'),
  ),
  refused(
    'a Host with a space: 400',
    'badhost',
    (host) => `GET / HTTP/1.1\r\nHost: ${host} x\r\n\r\n`,
  ),
  refused(
    'a space in the target: 400',
    'target',
    (host) => `GET /a b HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ),
  unlike(
    'a version that does not exist',
    'version',
    'rfc-status',
    ['505', '426'],
    (host) => `GET / HTTP/3.7\r\nHost: ${host}\r\n\r\n`,
  ),
  refused(
    'a chunk size that is no number: 400',
    'chunk',
    (host) => `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`,
  ),
  refused(
    'a chunk size beyond all: 400',
    'hugechunk',
    (host) =>
      `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`,
  ),
  refused('more than 100 fields: 431', 'many', (host) =>
    head(host, ...Array.from({ length: 101 }, (_, i) => `x-${i}: y`)),
  ),
  refused('more than 60 KiB of fields: 431', 'large', (host) =>
    head(host, `x-large: ${'y'.repeat(61 * 1024)}`),
  ),
  unlike(
    'more than 60 KiB of target',
    'long',
    'rfc-status',
    ['414', '431'],
    (host) => `GET /${'y'.repeat(61 * 1024)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ),
  unlike(
    'a bare LF ends a line',
    'barelf',
    'strict',
    ['400', '200'],
    (host) => `GET / HTTP/1.1\r\nHost: ${host}\nX-A: b\r\n\r\n`,
  ),
  unlike('a folded line', 'folded', 'strict', ['400', '200'], (host) => head(host, 'X-A: a', ' b')),
  unlike(
    'an unknown method',
    'brew',
    'any-method',
    ['200', '400'],
    (host) => `BREW / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ),
  unlike(
    'a method in lower case',
    'lower',
    'any-method',
    ['200', '400'],
    (host) => `get / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ),
  {
    name: 'methods that are known pass',
    host: 'methods',
    client: asks(
      ...['PROPFIND', 'TRACE', 'PATCH', 'DELETE', 'OPTIONS', 'PUT'].map((method) => ({ method })),
    ),
  },
  {
    name: 'an empty line before the request line is overlooked',
    host: 'crlf',
    client: says(`\r\n${head('crlf')}`, 1, false),
  },
  {
    name: '100 fields and 59 KiB pass',
    host: 'nearly',
    client: asks(
      { fields: Object.fromEntries(Array.from({ length: 98 }, (_, i) => [`x-${i}`, 'y'])) },
      { fields: { 'x-large': 'y'.repeat(59 * 1024) } },
    ),
    ignores: ['upstream 2: x-large'],
  },
]

const old = { listener: 'http10' }

/** HTTP/1.0, with Envoy told to accept it. */
export const ancient: readonly Behaviour[] = [
  {
    name: 'HTTP/1.0: the reply is framed by the end of the connection',
    host: 'ten',
    envoy: old,
    services: {
      ten: [
        (call) =>
          call.raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
      ],
    },
    client: says('GET /x HTTP/1.0\r\nHost: ten\r\n\r\n'),
  },
  {
    name: 'HTTP/1.0 with keep-alive stays open after a reply with a length',
    host: 'tenkept',
    envoy: old,
    client: async (client) => {
      const wire = await client.wire()
      for (let i = 0; i < 2; i++) {
        wire.send('GET / HTTP/1.0\r\nHost: tenkept\r\nConnection: keep-alive\r\n\r\n')
        await wire.answer()
      }
    },
  },
  {
    name: 'HTTP/1.0: no interim reply reaches the client',
    host: 'teninterim',
    envoy: old,
    services: {
      teninterim: [
        (call) => {
          call.raw('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
          call.reply(200, 'final')
        },
      ],
    },
    client: says('GET / HTTP/1.0\r\nHost: teninterim\r\n\r\n'),
    differs: [
      { why: 'http10-interim', at: { 'reply 1: interim 1': [undefined, '103 link=</a>'] } },
    ],
  },
  unlike(
    'HTTP/1.0 with Transfer-Encoding',
    'tente',
    'strict',
    ['400', '200'],
    (host) => `POST / HTTP/1.0\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    { envoy: old },
  ),
  unlike(
    'HTTP/1.0 as Istio takes it',
    'tenrefused',
    'http10',
    ['200', '426'],
    (host) => `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`,
  ),
]
