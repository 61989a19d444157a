/** Who gets the next request, and how long connections are kept for it. */
import type { Behaviour } from '../behaviour.ts'
import type { Dialogue } from '../dialogue.ts'
import type { Script } from '../upstream.ts'

const named = (call: Parameters<Script>[0]) => call.reply(200, call.seen.endpoint)

/** How often each endpoint was asked, the busiest first: which is which is chance. */
function shares(client: Dialogue): string {
  const counts = new Map<string, number>()
  for (const { endpoint } of client.seen) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
  return [...counts.values()].sort((a, b) => b - a).join(' ')
}

/** Everything but the notes hangs on who comes first. */
const onlyNotes = [/^(?:reply|log|upstream) \d/]

/** Answers /held when something else has come, which no proxy should send to where that waits. */
const holding: Script = async (call) => {
  if (call.seen.target !== '/held') call.reply(200, call.seen.endpoint)
  else setTimeout(() => call.reply(200, 'held'), 1_500)
}

export const balancing: readonly Behaviour[] = [
  {
    name: 'ROUND_ROBIN gives every endpoint its turn',
    host: 'turns',
    services: { turns: [named, named, named] },
    istio: { policy: { loadBalancer: { simple: 'ROUND_ROBIN' } } },
    envoy: { cluster: { lb_policy: 'ROUND_ROBIN' } },
    client: async (client) => {
      for (let i = 0; i < 12; i++) await client.ask({})
      client.notes['shares'] = shares(client)
    },
    ignores: onlyNotes,
  },
  {
    name: 'LEAST_REQUEST of two endpoints leaves out the one that is busy',
    host: 'least',
    services: { least: [holding, holding] },
    istio: { policy: { loadBalancer: { simple: 'LEAST_REQUEST' } } },
    client: async (client) => {
      const held = client.ask({ path: '/held' })
      await client.arrived(1)
      const busy = client.seen[0]!.endpoint
      let met = 0
      for (let i = 0; i < 12; i++) if ((await client.ask({})).body === busy) met++
      await held
      // both draws name the busy one in a quarter of all cases: in ten of twelve once in 25,000 runs
      client.notes['mostly the other'] = String(met < 10)
    },
    ignores: onlyNotes,
  },
  {
    name: 'RANDOM reaches every endpoint in the end',
    host: 'random',
    services: { random: [named, named] },
    istio: { policy: { loadBalancer: { simple: 'RANDOM' } } },
    envoy: { cluster: { lb_policy: 'RANDOM' } },
    client: async (client) => {
      for (let i = 0; i < 40; i++) await client.ask({})
      client.notes['endpoints'] = String(new Set(client.seen.map(({ endpoint }) => endpoint)).size)
    },
    ignores: onlyNotes,
  },
  {
    name: 'http.idleTimeout closes connections that nobody uses',
    host: 'unused',
    istio: { policy: { connectionPool: { http: { idleTimeout: '0.3s' } } } },
    envoy: {
      cluster: {
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            common_http_protocol_options: { idle_timeout: '0.3s' },
            explicit_http_config: { http_protocol_options: {} },
          },
        },
      },
    },
    client: async (client) => {
      const wire = await client.wire()
      await wire.ask({})
      await new Promise((done) => setTimeout(done, 1_000))
      await wire.ask({})
      client.connections()
    },
  },
]
