/** Opaque TCP: copying, half-close, resets, limits and timeouts, and the line in the log. */
import { type Behaviour, destination, type Endpoint } from '../behaviour.ts'
import type { Dialogue, Wire } from '../dialogue.ts'
import type { RawScript } from '../upstream.ts'

/** A TCP connection to `host`; its log line is waited for. */
function opaque(
  name: string,
  host: string,
  endpoints: readonly Endpoint[],
  talk: (wire: Wire, client: Dialogue) => Promise<void>,
  more: Partial<Behaviour> = {},
): Behaviour {
  return {
    name,
    host,
    tcp: true,
    services: { [host]: endpoints },
    client: async (client) => {
      const wire = (await client.wire()).opaque()
      await talk(wire, client)
      client.notes['got'] = wire.raw
    },
    logs: 1,
    ...more,
  }
}

/** The end and how it came, as a note. */
async function end(wire: Wire, client: Dialogue): Promise<void> {
  client.notes['end'] = await wire.ended()
}

const echo: RawScript = {
  raw: (socket) => {
    socket.on('data', (bytes) => socket.write(bytes))
    socket.on('end', () => socket.end())
  },
}
/** Answers with its name once the client has ended. */
const named = (name: string): RawScript => ({
  raw: (socket) => {
    socket.on('end', () => socket.end(name))
    socket.resume()
  },
})
const still: RawScript = { raw: () => {} }

const resets = [{ why: 'tcp-reset', at: { 'note: end': ['reset', 'end'] } }] as const

export const tcp: readonly Behaviour[] = [
  opaque(
    'bytes are copied both ways, and the end of one side is the end of both',
    'echo',
    [echo],
    async (wire, client) => {
      wire.send('one ')
      await wire.heard('one ')
      wire.send('two')
      await wire.heard('two')
      wire.socket.end()
      await end(wire, client)
    },
  ),
  opaque(
    'half-close: the reply comes after the end of the request',
    'half',
    [named('after')],
    async (wire, client) => {
      wire.send('all of it')
      wire.socket.end()
      await end(wire, client)
    },
  ),
  opaque(
    'half-close of the server: what the client sends after it arrives',
    'serverhalf',
    [{ raw: (socket) => socket.end('first') }],
    async (wire, client) => {
      await end(wire, client)
      wire.send('late words')
      wire.socket.end()
      await client.arrived(1)
    },
  ),
  opaque(
    'a server that speaks first is heard at once',
    'greeting',
    [
      {
        raw: (socket) => {
          socket.write('220 hello\r\n')
          socket.on('end', () => socket.end())
        },
      },
    ],
    async (wire, client) => {
      await wire.heard('220 hello\r\n')
      wire.socket.end()
      await end(wire, client)
    },
  ),
  opaque(
    'a reset of the server is a reset for the client',
    'serverreset',
    [{ raw: (socket) => socket.on('data', () => socket.resetAndDestroy()) }],
    async (wire, client) => {
      wire.send('x')
      await end(wire, client)
    },
  ),
  opaque(
    'a reset of the client is a reset for the server',
    'clientreset',
    [still],
    async (wire, client) => {
      wire.send('x')
      await client.until(() => client.seen[0]?.body === 'x')
      wire.abort()
    },
  ),
  opaque('a refused connection ends the client’s, with flag UF', 'tcprefused', ['refused'], end, {
    differs: resets,
  }),
  opaque(
    'connectTimeout ends the client’s, with flag UF',
    'tcpsilent',
    ['silent'],
    async (wire, client) => {
      await client.timed('time', 200, end(wire, client))
    },
    {
      istio: { policy: { connectionPool: { tcp: { connectTimeout: '0.2s' } } } },
      envoy: { cluster: { connect_timeout: '0.2s' } },
      differs: resets,
    },
  ),
  opaque('no endpoint ends the client’s, with flag UH', 'tcpempty', [], end, { differs: resets }),
  opaque(
    'a quiet connection ends after idleTimeout',
    'idle',
    [echo],
    async (wire, client) => {
      wire.send('x')
      await wire.heard('x')
      await client.timed('time', 1_000, end(wire, client))
    },
    {
      istio: { policy: { connectionPool: { tcp: { idleTimeout: '1s' } } } },
      envoy: { tcp: { cluster: 'idle', idle_timeout: '1s' } },
    },
  ),
  opaque(
    'maxConnections: the second connection is ended, with flag UO',
    'full',
    [echo],
    async (wire, client) => {
      wire.send('x')
      await wire.heard('x')
      const second = (await client.wire()).opaque()
      await end(second, client)
      wire.socket.end()
      await wire.ended()
    },
    {
      istio: { policy: { connectionPool: { tcp: { maxConnections: 1 } } } },
      envoy: { cluster: { circuit_breakers: { thresholds: [{ max_connections: 1 }] } } },
      differs: resets,
      logs: 2,
    },
  ),
  opaque(
    'weights: all connections to one of two destinations',
    'tcpweights',
    [named('wrong')],
    async (wire, client) => {
      wire.socket.end()
      await end(wire, client)
    },
    {
      services: { tcpweights: [named('wrong')], tcpcanary: [named('right')] },
      istio: {
        tcp: [
          {
            route: [
              destination('tcpweights', { weight: 0 }),
              destination('tcpcanary', { weight: 100 }),
            ],
          },
        ],
      },
      envoy: {
        tcp: { weighted_clusters: { clusters: [{ name: 'tcpcanary', weight: 100 }] } },
      },
    },
  ),
  opaque(
    'a large transfer arrives whole',
    'bulk',
    [
      {
        raw: (socket) => {
          socket.on('end', () => socket.end('z'.repeat(3_000_000)))
          socket.resume()
        },
      },
    ],
    async (wire, client) => {
      wire.send('y'.repeat(3_000_000))
      wire.socket.end()
      await end(wire, client)
      client.notes['length'] = String(wire.raw.length)
    },
  ),
]
