/** CORS, mirrors, consistent hashing and outlier detection. */
import { type Behaviour, destination, type Endpoint, to } from '../behaviour.ts'
import { asks } from '../client-steps.ts'
import { type Script, statuses } from '../upstream.ts'

const anything = { prefix: '/' }
const filter = (name: string, message: string, settings: object) => ({
  typed_per_filter_config: {
    [`envoy.filters.http.${name}`]: {
      '@type': `type.googleapis.com/envoy.extensions.filters.http.${message}`,
      ...settings,
    },
  },
})
/** What Istio writes of a corsPolicy. */
const cors = (settings: object) =>
  filter('cors', 'cors.v3.CorsPolicy', {
    filter_enabled: { default_value: { numerator: 100 } },
    ...settings,
  })

const preflight = (
  origin: string,
  method = 'PUT',
  fields: Readonly<Record<string, string>> = {},
) => ({
  method: 'OPTIONS',
  fields: { origin, 'access-control-request-method': method, ...fields },
})

/** Speaks CORS itself, which the policy overwrites. */
const ownCors: Script = (call) =>
  call.reply(200, 'application', {
    'access-control-allow-origin': 'https://own.example',
    'access-control-expose-headers': 'x-own',
    vary: 'accept',
  })

function crossOrigin(
  name: string,
  host: string,
  corsPolicy: object,
  envoy: object,
  client: Behaviour['client'],
): Behaviour {
  return {
    name,
    host,
    services: { [host]: [ownCors] },
    istio: { http: [{ corsPolicy, route: [destination(host)] }] },
    envoy: { routes: [{ match: anything, route: to(host), ...cors(envoy) }] },
    client,
  }
}

const calls = asks(
  preflight('https://good.example'),
  preflight('https://good.example', 'DELETE', { 'access-control-request-headers': 'x-any' }),
  preflight('https://bad.example'),
  { fields: { origin: 'https://good.example' } },
  { fields: { origin: 'https://bad.example' } },
  { method: 'OPTIONS', fields: { origin: 'https://good.example' } },
  {},
)

const crossOrigins: readonly Behaviour[] = [
  crossOrigin(
    'CORS: preflights of allowed origins are answered, others go to the application',
    'cors',
    {
      allowOrigins: [{ exact: 'https://good.example' }],
      allowMethods: ['GET', 'PUT'],
      allowHeaders: ['x-one', 'x-two'],
      exposeHeaders: ['x-three'],
      maxAge: '24h',
      allowCredentials: true,
    },
    {
      allow_origin_string_match: [{ exact: 'https://good.example' }],
      allow_methods: 'GET,PUT',
      allow_headers: 'x-one,x-two',
      expose_headers: 'x-three',
      max_age: '86400',
      allow_credentials: true,
      forward_not_matching_preflights: true,
    },
    calls,
  ),
  crossOrigin(
    'CORS: preflights of other origins are answered without permission under IGNORE',
    'corsignore',
    {
      allowOrigins: [{ prefix: 'https://good.' }],
      allowMethods: ['GET'],
      unmatchedPreflights: 'IGNORE',
    },
    {
      allow_origin_string_match: [{ prefix: 'https://good.' }],
      allow_methods: 'GET',
      forward_not_matching_preflights: false,
    },
    calls,
  ),
  crossOrigin(
    'CORS: every origin, and origins by regex',
    'corsall',
    { allowOrigins: [{ exact: '*' }, { regex: 'https://.*[.]example' }] },
    {
      allow_origin_string_match: [
        { exact: '*' },
        { safe_regex: { regex: 'https://.*[.]example' } },
      ],
      forward_not_matching_preflights: true,
    },
    calls,
  ),
]

const everything = { runtime_fraction: { default_value: { numerator: 100 } } }

function mirrored(
  name: string,
  host: string,
  copy: Script,
  client: Behaviour['client'],
): Behaviour {
  const shadow = `${host}-copy`
  return {
    name,
    host,
    services: { [host]: [(call) => call.reply(200, 'original')], [shadow]: [copy] },
    istio: { http: [{ mirror: { host: shadow }, route: [destination(host)] }] },
    envoy: {
      routes: [
        {
          match: anything,
          route: to(host, {
            request_mirror_policies: [
              { cluster: shadow, disable_shadow_host_suffix_append: true, ...everything },
            ],
          }),
        },
      ],
    },
    client,
    // which of its own addresses a proxy names
    ignores: ['upstream 2: x-forwarded-for'],
  }
}

const mirrors: readonly Behaviour[] = [
  mirrored(
    'a mirror gets a copy with Host as it is; its reply is dropped',
    'mirror',
    (call) => call.reply(500, 'dropped'),
    async (client) => {
      await client.ask({ method: 'POST', path: '/both?q', body: 'twice', fields: { 'x-a': 'b' } })
      await client.until(() => client.seen.length === 2 && client.seen.every(isWhole))
    },
  ),
  mirrored(
    'a mirror that never answers delays nothing',
    'slowmirror',
    () => {},
    async (client) => {
      await client.timed('reply', 2_000, client.ask({}))
      await client.until(() => client.seen.length === 2)
    },
  ),
  mirrored(
    'a mirror that breaks breaks nothing',
    'brokenmirror',
    (call) => call.reset(),
    async (client) => {
      await client.ask({})
      await client.until(() => client.seen.length === 2)
    },
  ),
]

const isWhole = ({ ending }: { ending: string }): boolean => ending === 'whole'

/** Names of the endpoints are no part of the comparison: where a key leads is each proxy's own. */
const anywhere = [/^upstream \d+: endpoint/, /^reply \d+: body/]
const three: readonly Script[] = [1, 2, 3].map(
  (n) => (call) => call.reply(200, String(n), { 'x-endpoint': String(n) }),
)

function hashed(
  name: string,
  host: string,
  consistentHash: object,
  policy: object,
  client: Behaviour['client'],
): Behaviour {
  return {
    name,
    host,
    services: { [host]: three },
    istio: { policy: { loadBalancer: { consistentHash } } },
    envoy: {
      routes: [{ match: anything, route: to(host, { hash_policy: [policy] }) }],
      cluster: { lb_policy: 'RING_HASH' },
    },
    client,
    ignores: [...anywhere, /x-endpoint/, /cookie$/],
  }
}

/** How many endpoints were asked, in all. */
const count = (client: { seen: readonly { endpoint: string }[] }): string =>
  String(new Set(client.seen.map(({ endpoint }) => endpoint)).size)

const hashes: readonly Behaviour[] = [
  hashed(
    'hash by header: one value always finds one endpoint',
    'hashheader',
    { httpHeaderName: 'x-user' },
    { header: { header_name: 'x-user' } },
    async (client) => {
      for (let i = 0; i < 6; i++) await client.ask({ fields: { 'x-user': 'ann' } })
      client.notes['endpoints of one'] = count(client)
      for (let i = 0; i < 40; i++) await client.ask({ fields: { 'x-user': `user-${i}` } })
      client.notes['endpoints of many'] = count(client)
    },
  ),
  hashed(
    'hash by cookie: who has none gets one, and stays with it',
    'hashcookie',
    { httpCookie: { name: 'sess', path: '/p', ttl: '60s' } },
    { cookie: { name: 'sess', path: '/p', ttl: '60s' } },
    async (client) => {
      const first = await client.ask({})
      const cookie = first.fields.find(([name]) => name === 'set-cookie')?.[1] ?? ''
      client.notes['cookie'] = cookie.replace(/"[0-9a-f]+"/, '"hex"')
      const [pair = ''] = cookie.split(';')
      for (let i = 0; i < 6; i++) await client.ask({ fields: { cookie: pair } })
      client.notes['endpoints'] = count(client)
    },
  ),
  hashed(
    'hash by query parameter',
    'hashquery',
    { httpQueryParameterName: 'u' },
    { query_parameter: { name: 'u' } },
    async (client) => {
      for (let i = 0; i < 6; i++) await client.ask({ path: `/${i}?x=${i}&u=ann` })
      client.notes['endpoints'] = count(client)
    },
  ),
  hashed(
    'hash by source address',
    'hashsource',
    { useSourceIp: true },
    { connection_properties: { source_ip: true } },
    async (client) => {
      for (let i = 0; i < 6; i++) await client.ask({})
      client.notes['endpoints'] = count(client)
    },
  ),
]

/** Asks until the bad endpoint was met `often`, then waits for the ejection and asks ten times more. */
const untilEjected = (bad: number, often: number): Behaviour['client'] => {
  return async (client) => {
    let met = 0
    for (let i = 0; i < 100 && met < often; i++) {
      const { status } = await client.ask({})
      if (status === bad) met++
    }
    client.notes['met'] = String(met)
    // Envoy ejects on its main thread and tells the worker
    await new Promise((done) => setTimeout(done, 800))
    const after: number[] = []
    for (let i = 0; i < 10; i++) after.push((await client.ask({})).status)
    client.notes['after'] = after.join(' ')
  }
}

function ejecting(
  name: string,
  host: string,
  bad: Endpoint,
  outlierDetection: object,
  outlier_detection: object,
  client: Behaviour['client'],
  panic = 0,
): Behaviour {
  return {
    name,
    host,
    services: { [host]: [bad, (call) => call.reply(200, 'good')] },
    istio: { policy: { outlierDetection } },
    envoy: {
      cluster: {
        outlier_detection,
        // Istio makes it of minHealthPercent
        common_lb_config: { healthy_panic_threshold: { value: panic } },
      },
    },
    client,
    // how many requests the good one answers in between is chance
    ignores: [/^(?:reply|log|upstream) \d+:/, 'upstream: requests'],
    logs: 1,
  }
}

const refusedOne = ejecting(
  'a refused connection counts as a failure in a row',
  'ejectrefused',
  'refused',
  { consecutive5xxErrors: 2, maxEjectionPercent: 100, baseEjectionTime: '60s' },
  {
    consecutive_5xx: 2,
    enforcing_consecutive_5xx: 100,
    enforcing_success_rate: 0,
    max_ejection_percent: 100,
    base_ejection_time: '60s',
  },
  untilEjected(503, 2),
)

/** Retries would hide what is to be counted. */
function withoutRetries(behaviour: Behaviour): Behaviour {
  const { envoy, host, istio } = behaviour
  const http = [{ retries: { attempts: 0 }, route: [destination(host)] }]
  const routes = [{ match: anything, route: { cluster: host, timeout: '0s' } }]
  return { ...behaviour, istio: { ...istio, http }, envoy: { ...envoy, routes } }
}

const outliers: readonly Behaviour[] = [
  ejecting(
    'consecutive5xxErrors ejects after so many 5xx in a row',
    'eject5xx',
    statuses(500),
    { consecutive5xxErrors: 3, maxEjectionPercent: 100, baseEjectionTime: '60s' },
    {
      consecutive_5xx: 3,
      enforcing_consecutive_5xx: 100,
      enforcing_success_rate: 0,
      max_ejection_percent: 100,
      base_ejection_time: '60s',
    },
    untilEjected(500, 3),
  ),
  ejecting(
    'consecutiveGatewayErrors ejects after so many 502, 503 and 504',
    'ejectgateway',
    statuses(502, 503, 504, 502),
    {
      consecutiveGatewayErrors: 2,
      consecutive5xxErrors: 0,
      maxEjectionPercent: 100,
      baseEjectionTime: '60s',
    },
    {
      consecutive_gateway_failure: 2,
      enforcing_consecutive_gateway_failure: 100,
      enforcing_consecutive_5xx: 0,
      enforcing_success_rate: 0,
      max_ejection_percent: 100,
      base_ejection_time: '60s',
    },
    async (client) => {
      for (let i = 0, bad = 0; i < 100 && bad < 2; i++)
        if ((await client.ask({})).status >= 502) bad++
      await new Promise((done) => setTimeout(done, 800))
      const after: number[] = []
      for (let i = 0; i < 10; i++) after.push((await client.ask({})).status)
      client.notes['after'] = after.join(' ')
    },
  ),
  ejecting(
    'minHealthPercent: with too few left the ejected are used again',
    'panic',
    statuses(500),
    {
      consecutive5xxErrors: 2,
      maxEjectionPercent: 100,
      minHealthPercent: 60,
      baseEjectionTime: '60s',
    },
    {
      consecutive_5xx: 2,
      enforcing_consecutive_5xx: 100,
      enforcing_success_rate: 0,
      max_ejection_percent: 100,
      base_ejection_time: '60s',
    },
    async (client) => {
      for (let i = 0; i < 30; i++) await client.ask({})
      const last = client.replies.slice(-20).map(({ status }) => status)
      client.notes['still met'] = String(last.includes(500))
    },
    60,
  ),
  withoutRetries(refusedOne),
  ejecting(
    'maxEjectionPercent 10 of two endpoints ejects nothing',
    'ejectnone',
    statuses(500),
    { consecutive5xxErrors: 2, baseEjectionTime: '60s' },
    {
      consecutive_5xx: 2,
      enforcing_consecutive_5xx: 100,
      enforcing_success_rate: 0,
      max_ejection_percent: 10,
      base_ejection_time: '60s',
    },
    async (client) => {
      for (let i = 0; i < 30; i++) await client.ask({})
      const last = client.replies.slice(-20).map(({ status }) => status)
      client.notes['still met'] = String(last.includes(500))
    },
  ),
]

export const policies: readonly Behaviour[] = [...crossOrigins, ...mirrors, ...hashes, ...outliers]
