/** How messages are passed on: framing, connection fields, interim replies, trailers, upgrades, kept connections. */
import type { Behaviour } from '../behaviour.ts'
import { asks, kept, says } from '../client-steps.ts'

export const messages: readonly Behaviour[] = [
  {
    name: 'fields of the connection do not go upstream, nor those that Connection names',
    host: 'hop',
    client: asks({
      fields: {
        connection: 'keep-alive, x-mine',
        'keep-alive': 'timeout=5',
        'proxy-connection': 'keep-alive',
        'x-mine': 'gone',
        te: 'gzip, trailers',
        'proxy-authorization': 'Basic eA==',
        'x-other': 'stays',
      },
    }),
  },
  {
    name: 'te without trailers is dropped',
    host: 'te',
    client: asks({ fields: { te: 'gzip', connection: 'te' } }, { fields: { te: 'trailers' } }),
  },
  {
    name: 'Connection must not name x-forwarded-for',
    host: 'nominated',
    client: asks({ fields: { connection: 'x-forwarded-for', 'x-forwarded-for': '10.0.0.1' } }),
  },
  {
    name: 'fields that steer a proxy are ignored and stripped, others of that family pass',
    host: 'steer',
    client: asks({
      fields: {
        'x-envoy-retry-on': '5xx',
        'x-envoy-max-retries': '9',
        'x-envoy-upstream-rq-timeout-ms': '1',
        'x-envoy-upstream-rq-per-try-timeout-ms': '1',
        'x-envoy-upstream-rq-timeout-alt-response': '1',
        'x-envoy-retry-grpc-on': 'internal',
        'x-envoy-retriable-status-codes': '200',
        'x-envoy-expected-rq-timeout-ms': '7',
        'x-envoy-force-trace': '1',
        'x-envoy-internal': 'true',
        'x-forwarded-client-cert': 'By=spiffe://a',
        'x-envoy-attempt-count': '7',
        'x-envoy-original-path': '/was',
        'x-envoy-external-address': '1.2.3.4',
        'x-envoy-decorator-operation': 'op',
        'x-envoy-hedge-on-per-try-timeout': 'true',
        'x-envoy-ip-tags': 'a',
        'x-envoy-original-url': '/u',
        'x-envoy-upstream-alt-stat-name': 's',
      },
    }),
  },
  {
    name: 'x-forwarded fields and the request id of the client are kept',
    host: 'forwarded',
    client: asks({
      fields: {
        'x-forwarded-for': '10.1.2.3, 10.9.9.9',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'front.example',
        'x-forwarded-port': '8443',
        'x-request-id': 'my-own-id',
        forwarded: 'for=1.2.3.4',
        via: '1.1 front',
      },
    }),
  },
  {
    name: 'lines of one name stay lines of their own, empty values stay',
    host: 'lines',
    services: {
      lines: [
        (call) =>
          call.raw(
            'HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nx-empty:\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n',
          ),
      ],
    },
    client: asks({ fields: { 'x-a': '1\r\nx-b: 2\r\nx-a: 3', 'x-empty': '', 'x-wide': ' a  b ' } }),
  },
  {
    name: 'replies to HEAD, 204 and 304 have no body and keep their fields',
    host: 'bodiless',
    services: {
      bodiless: [
        (call) => {
          const status = Number(call.seen.target.slice(1))
          if (call.seen.method === 'HEAD') call.reply(status, 'seven77', { etag: '"x"' })
          else if (status === 304)
            call.raw('HTTP/1.1 304 NM\r\ncontent-length: 9\r\netag: "y"\r\n\r\n')
          else call.raw('HTTP/1.1 204 No\r\nx-a: b\r\n\r\n')
        },
      ],
    },
    client: kept(
      { method: 'HEAD', path: '/200' },
      { path: '/204' },
      { path: '/304' },
      { method: 'HEAD', path: '/404' },
    ),
  },
  {
    name: 'bodies pass in both framings; an empty POST keeps its length',
    host: 'bodies',
    services: {
      bodies: [
        async (call) => {
          await call.whole
          call.raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
          call.raw(`3\r\nabc\r\n${call.seen.body.length.toString(16)}\r\n${call.seen.body}`)
          call.raw(`${call.seen.body.length > 0 ? '\r\n0\r\n' : '\r\n'}\r\n`)
        },
      ],
    },
    client: async (client) => {
      const wire = await client.wire()
      await wire.ask({ method: 'POST', body: 'x'.repeat(3_000) })
      wire.send('POST /c HTTP/1.1\r\nHost: bodies\r\ntransfer-encoding: chunked\r\n\r\n')
      wire.send('5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n')
      await wire.answer()
      await wire.ask({ method: 'POST', body: '' })
    },
  },
  {
    name: 'GET with a body carries it',
    host: 'getbody',
    client: asks({ body: 'unusual' }),
  },
  {
    name: 'a reply without length is read to the end of the connection and passed on whole',
    host: 'close',
    services: {
      close: [
        (call) => {
          call.raw('HTTP/1.1 200 OK\r\n\r\nuntil the end')
          call.socket.end()
        },
      ],
    },
    client: asks({}),
  },
  {
    name: 'a reply of HTTP/1.0 is passed on as 1.1',
    host: 'oldreply',
    services: {
      oldreply: [
        (call) => {
          call.raw('HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold')
          call.socket.end()
        },
      ],
    },
    client: asks({}, {}),
  },
  {
    name: 'trailers',
    host: 'trailers',
    services: {
      trailers: [
        async (call) => {
          await call.whole
          call.raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n')
          call.raw('2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n')
        },
      ],
    },
    client: says(
      'POST / HTTP/1.1\r\nHost: trailers\r\nTE: trailers\r\ntransfer-encoding: chunked\r\ntrailer: x-up\r\n\r\n2\r\nhi\r\n0\r\nx-up: 9\r\n\r\n',
      1,
      false,
    ),
    differs: [
      {
        why: 'trailers',
        at: {
          'reply 1: trailer x-sum': ['7', undefined],
          'upstream 1: trailer x-up': ['9', undefined],
        },
      },
    ],
  },
  {
    name: 'Expect: 100-continue goes upstream, and its 100 comes back',
    host: 'expect',
    services: {
      expect: [
        async (call) => {
          call.raw('HTTP/1.1 100 Continue\r\n\r\n')
          await call.whole
          call.reply(200, `got ${call.seen.body}`)
        },
      ],
    },
    client: async (client) => {
      const wire = await client.wire()
      wire.send(
        'PUT / HTTP/1.1\r\nHost: expect\r\nExpect: 100-continue\r\ncontent-length: 4\r\n\r\n',
      )
      await wire.informed()
      wire.send('body')
      await wire.answer()
    },
  },
  {
    name: 'Expect: 100-continue refused by the application: its reply comes at once',
    host: 'refusing',
    services: { refusing: [(call) => call.reply(417, 'no')] },
    client: async (client) => {
      const wire = await client.wire()
      wire.send(
        'PUT / HTTP/1.1\r\nHost: refusing\r\nExpect: 100-continue\r\ncontent-length: 4\r\n\r\n',
      )
      await wire.answer()
    },
  },
  {
    name: 'other expectations pass',
    host: 'expects',
    client: asks({ fields: { expect: 'a-miracle' } }),
  },
  {
    name: 'interim replies pass in order, with their fields',
    host: 'hints',
    services: {
      hints: [
        (call) => {
          call.raw('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
          call.raw('HTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n')
          call.reply(200, 'final')
        },
      ],
    },
    client: asks({}),
    differs: [{ why: 'all-interim', at: { 'reply 1: interim 2': ['103 link=</b>', undefined] } }],
  },
  {
    name: 'requests on one kept connection are answered in order, pipelined ones too',
    host: 'kept',
    services: { kept: [(call) => call.reply(200, call.seen.target)] },
    client: says(
      ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: kept\r\n\r\n`).join(''),
      3,
      false,
    ),
  },
  {
    name: 'Connection: close of the client is answered, then closed',
    host: 'closing',
    client: says('GET / HTTP/1.1\r\nHost: closing\r\nConnection: close\r\n\r\n'),
  },
  {
    name: 'Connection: close of the application does not close the client’s connection',
    host: 'closes',
    services: {
      closes: [
        (call) => {
          call.reply(200, 'bye', { connection: 'close' })
          call.socket.end()
        },
      ],
    },
    client: kept({}, {}),
  },
  {
    name: 'fields that a reply’s Connection names',
    host: 'replyhop',
    services: {
      replyhop: [
        (call) =>
          call.reply(200, 'x', {
            connection: 'x-mine',
            'x-mine': '1',
            'keep-alive': 'timeout=5',
            'proxy-authenticate': 'Basic',
          }),
      ],
    },
    client: asks({}),
    differs: [{ why: 'reply-connection', at: { 'reply 1: x-mine': [undefined, '1'] } }],
  },
  {
    name: 'a websocket becomes a tunnel, bytes in the packet of the 101 included',
    host: 'socket',
    services: {
      socket: [(call) => call.tunnel((bytes) => call.raw(`echo ${bytes}`), 'first')],
    },
    client: async (client) => {
      const wire = await client.wire()
      wire.send(
        'GET /chat HTTP/1.1\r\nHost: socket\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
      )
      await wire.answer()
      await wire.heard('first')
      wire.send('ping')
      await wire.heard('echo ping')
      wire.socket.end()
      client.notes['end'] = await wire.ended()
      client.notes['tunnel'] = wire.raw
    },
    differs: [
      {
        why: 'service-time',
        at: { 'reply 1: x-envoy-upstream-service-time': ['a number', undefined] },
      },
      {
        why: 'tunnel-end',
        at: {
          'log 1: flags': ['-', 'DC'],
          'log 1: details': ['via_upstream', 'downstream_remote_disconnect'],
        },
      },
    ],
  },
  {
    name: 'a websocket that the application refuses gets its reply',
    host: 'nosocket',
    services: { nosocket: [(call) => call.reply(403, 'not here')] },
    client: async (client) => {
      const wire = await client.wire()
      await wire.ask({ fields: { connection: 'upgrade', upgrade: 'websocket' } })
    },
    differs: [
      {
        why: 'service-time',
        at: { 'reply 1: x-envoy-upstream-service-time': ['a number', undefined] },
      },
    ],
  },
  ...[200, 204, 302, 404].map(
    (status): Behaviour => ({
      name: `a websocket that the application answers with ${status}`,
      host: `flatsocket${status}`,
      services: {
        [`flatsocket${status}`]: [
          (call) => call.reply(status, status === 204 ? '' : 'flat', { 'x-own': 'kept' }),
        ],
      },
      client: async (client) => {
        const wire = await client.wire()
        await wire.ask({ fields: { connection: 'upgrade', upgrade: 'websocket' } })
        client.notes['end'] = await wire.ended()
      },
      differs: [
        {
          why: 'service-time',
          at: { 'reply 1: x-envoy-upstream-service-time': ['a number', undefined] },
        },
      ],
    }),
  ),
  {
    name: 'other upgrades are refused with 403',
    host: 'upgrade',
    client: says(
      'GET / HTTP/1.1\r\nHost: upgrade\r\nConnection: Upgrade\r\nUpgrade: spdy/3\r\n\r\n',
    ),
  },
  {
    name: 'the offer of h2c is dropped, the request goes on',
    host: 'h2c',
    client: asks({
      fields: {
        connection: 'Upgrade, HTTP2-Settings',
        upgrade: 'h2c',
        'http2-settings': 'AAMAAABkAAQAAP__',
      },
    }),
  },
  {
    name: 'CONNECT finds no route',
    host: 'connect',
    client: says('CONNECT connect:80 HTTP/1.1\r\nHost: connect:80\r\n\r\n'),
  },
]
