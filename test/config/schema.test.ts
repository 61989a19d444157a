import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import type {
  DestinationRuleSpec,
  EndpointSliceSpec,
  KnownResource,
  MeshConfigSpec,
  PodSpec,
  ServiceEntrySpec,
  ServiceSpec,
  SidecarSpec,
  VirtualServiceSpec,
  WorkloadEntrySpec,
} from '../../config/kinds.ts'
import { load } from '../../config/load.ts'
import { parse } from '../../config/parse.ts'
import { type Raw, Source, textOf, within } from '../../config/raw.ts'
import {
  goDurationMs,
  headerValue,
  isCidr,
  regex,
  wildcardDomain,
} from '../../config/schema/formats.ts'
import { istioCrds, needed } from './corpus-files.ts'

function one(text: string, path = 'f.yaml'): KnownResource {
  const loaded = load([{ path, text }])
  const [resource] = loaded.resources
  if (resource === undefined) throw new RangeError(JSON.stringify(loaded.problems, null, 1))
  return resource
}
const istio = (kind: string, body: string) =>
  one(
    `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: a, namespace: ns}\nspec:\n${body}\n`,
  )

t.test('Go durations become milliseconds', async (t) => {
  const cases: ReadonlyArray<readonly [string, number | undefined]> = [
    ['1s', 1000],
    ['1.5s', 1500],
    ['100ms', 100],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['0', 0],
    ['0s', 0],
    ['1us', 0.001],
    ['1500us', 1.5],
    ['-2s', -2000],
    ['.5s', 500],
    ['0.1s', 100],
    ['1h2m3s4ms', 3_723_004],
    ['5', undefined],
    ['s', undefined],
    ['', undefined],
    ['1 s', undefined],
    ['1d', undefined],
    ['1s2', undefined],
  ]
  for (const [text, ms] of cases) t.equal(goDurationMs(text), ms, text)
})

t.test('host names, CIDRs, header values and expressions are judged as Istio does', async (t) => {
  for (const host of ['a', 'a.b', '*', '*.a.b', '*a.b', '*-a.b', 'a.b.', 'A-1.b'])
    t.equal(wildcardDomain(host), undefined, host)
  for (const host of [
    '',
    'a..b',
    'a_b.c',
    'a.*.b',
    '-a.b',
    'a-.b',
    'a:80',
    'a.1',
    '**.a',
    `${'x'.repeat(64)}.a`,
  ])
    t.ok(wildcardDomain(host), JSON.stringify(host))
  for (const cidr of ['10.0.0.0/8', '::/0', '2001:db8::/32', '1.2.3.4/32']) t.ok(isCidr(cidr), cidr)
  for (const cidr of ['10.0.0.0', '10.0.0.0/33', '::/129', 'a/8', '10.0.0.0/', '10.0.0.0/8/9'])
    t.notOk(isCidr(cidr), cidr)
  for (const value of ['plain', '100%%', '%REQ(x)%', 'a%START_TIME%b', 'tab\there'])
    t.equal(headerValue(value), undefined, value)
  for (const value of ['50%', '%REQ(x%', '%lower%', 'a\u0001', 'a\nb'])
    t.ok(headerValue(value), JSON.stringify(value))
  for (const pattern of ['.*', '(?i)a', '\\pN', '[[:alpha:]]'])
    t.equal(regex(pattern), undefined, pattern)
  for (const pattern of ['', '(?=a)', '(a)\\1', '(', 'a'.repeat(1025)])
    t.ok(regex(pattern), pattern.slice(0, 9))
})

t.test('a VirtualService gets every default, in the names of the contract', async (t) => {
  const { spec } = istio(
    'VirtualService',
    `  hosts: [reviews]
  http:
  - match:
    - {uri: {prefix: /a}, headers: {x: {}, w: {regex: "*"}}, query_params: {q: {exact: ""}}, ignore_uri_case: true}
    - {uri: {}, without_headers: {z: }}
    route:
    - {destination: {host: reviews, port: {number: 9080}}, weight: 0}
    timeout: 1.5s
    retries: {attempts: 3, per_try_timeout: 200ms, retry_on: "5xx,503"}
    headers: {request: {set: {a: b}}}
  tcp: [{route: [{destination: {host: db}}]}]`,
  ) as { spec: VirtualServiceSpec }
  t.same(spec.gateways, ['mesh'])
  t.same(spec.exportTo, [])
  const rule = spec.http[0]!
  t.same(rule.match[0], {
    name: '',
    uri: { prefix: '/a' },
    headers: { x: { present: true }, w: { present: true } },
    withoutHeaders: {},
    queryParams: { q: { exact: '' } },
    ignoreUriCase: true,
    port: 0,
    sourceLabels: {},
    sourceNamespace: '',
    gateways: [],
  })
  t.notOk('uri' in rule.match[1]!, 'an empty uri condition is none')
  t.same(rule.match[1]!.withoutHeaders, { z: { present: true } })
  t.same(rule.route, [{ destination: { host: 'reviews', subset: '', port: 9080 }, weight: 0 }])
  t.equal(rule.timeoutMs, 1500)
  t.same(rule.retries, {
    attempts: 3,
    perTryTimeoutMs: 200,
    retryOn: '5xx,503',
    retryRemoteLocalities: false,
  })
  t.same(rule.headers, { request: { set: { a: 'b' }, add: {}, remove: [] } })
  t.same(spec.tcp, [{ match: [], route: [{ destination: { host: 'db', subset: '' }, weight: 0 }] }])
})

t.test(
  'header operations on what belongs to a connection are told to have no effect',
  async (t) => {
    const { problems, resources } = load([
      {
        path: 'f.yaml',
        text: `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: ["*.b.c"]
  http:
  - route: [{destination: {host: x.b.c}}]
    headers: {request: {set: {Connection: close, te: trailers}}, response: {remove: [Content-Length, date]}}
`,
      },
    ])
    t.equal(resources.length, 1, 'the rule is followed')
    t.match(
      problems
        .filter(({ code }) => code === 'IST0133')
        .map(({ line, severity, message }) => `${line} ${severity} ${message}`),
      [
        /^8 warning .*set\.Connection: the header "Connection" is the connection's own: this has no effect/,
        /^8 warning .*remove\[0\]: the header "Content-Length"/,
      ],
    )
  },
)

t.test('redirects, replies and rewrites are flattened', async (t) => {
  const { spec } = istio(
    'VirtualService',
    `  hosts: [a.b]
  http:
  - {match: [{uri: {prefix: /r}}], redirect: {uri: /x, derivePort: FROM_REQUEST_PORT}}
  - {match: [{uri: {prefix: /d}}], directResponse: {status: 503, body: {string: no}}}
  - directResponse: {status: 503, body: {string: "no"}}
`.replace('{status: 503, body: {string: no}}', '{status: 200, body: {bytes: aGk=}}'),
  ) as { spec: VirtualServiceSpec }
  t.same(spec.http[0]!.redirect, { uri: '/x', derivePort: 'FROM_REQUEST_PORT', redirectCode: 301 })
  t.same(spec.http[1]!.directResponse, { status: 200, bytes: 'aGk=' })
  t.same(spec.http[2]!.directResponse, { status: 503, string: 'no' })
})

t.test(
  'what has no effect yet is checked, told with its line, and kept out of the spec',
  async (t) => {
    const text = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.b]
  http:
  - route: [{destination: {host: a.b}}]
    # the line of something that works by now
    # the line of something that works by now
    # the line of something that works by now
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a.b
  trafficPolicy:
    # the line of something that works by now
    # the line of something that works by now
    tls: {mode: ISTIO_MUTUAL}
    connectionPool: {http: {h2UpgradePolicy: UPGRADE, maxRetries: 3}}
`
    const { problems, resources } = load([{ path: 'f.yaml', text }])
    const told = problems.filter(({ code }) => code === 'OUT-NOTYET')
    t.same(
      told.map(({ line, severity }) => [line, severity]),
      [20, 21].map((line) => [line, 'warning']),
    )
    t.same(Object.keys((resources[0]!.spec as VirtualServiceSpec).http[0]!).sort(), [
      'match',
      'name',
      'route',
    ])
    t.same((resources[1]!.spec as DestinationRuleSpec).trafficPolicy, {
      connectionPool: { http: { maxRetries: 3 } },
      tls: { mode: 'ISTIO_MUTUAL', subjectAltNames: [] },
      portLevelSettings: [],
    })
  },
)

t.test('listeners and networks of their own are told where they are asked for', async (t) => {
  const text = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: a}
spec:
  ingress:
  - port: {number: 80, protocol: HTTP, name: http}
    bind: 10.0.0.1
    captureMode: NONE
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a}
spec:
  address: 10.0.0.1
  network: other
`
  const { problems } = load([{ path: 'f.yaml', text }])
  t.same(
    problems.map(({ line, code }) => `${line} ${code}`),
    ['8 IST0133', '15 IST0133'],
  )
})

t.test('a hint to leave out quotes is given only where it would help', async (t) => {
  const hint = (weight: string) =>
    load([
      {
        path: 'f.yaml',
        text: `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.b], http: [{route: [{destination: {host: a.b}, weight: ${weight}}]}]}
`,
      },
    ]).problems.find(({ message }) => message.includes('weight'))?.hint
  t.equal(hint('"50"'), 'Write it without quotes.')
  t.equal(hint('fifty'), '')
})

t.test('weights that cannot be read are told once, not as a sum of 0', async (t) => {
  const text = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.b]
  tcp: [{route: [{destination: {host: a.b}, weight: "50"}, {destination: {host: c.d}, weight: "50"}]}]
`
  const { problems } = load([{ path: 'f.yaml', text }])
  t.match(
    problems.map(({ message }) => message),
    [/weight: must be/, /weight: must be/],
  )
  t.equal(problems.length, 2)
})

t.test('a DestinationRule keeps blocks, ports and zero apart from absent', async (t) => {
  const { spec } = istio(
    'DestinationRule',
    `  host: a.b
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 0, idleTimeout: 0s, tcpKeepalive: {time: 7200s}}}
    portLevelSettings:
    - {port: {number: 80}, loadBalancer: {simple: 4}}
  subsets:
  - {name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
  workloadSelector: {matchLabels: {app: x}}`,
  ) as { spec: DestinationRuleSpec }
  t.same(spec, {
    host: 'a.b',
    trafficPolicy: {
      connectionPool: {
        tcp: { maxConnections: 0, idleTimeoutMs: 0, tcpKeepalive: { timeMs: 7_200_000 } },
      },
      portLevelSettings: [{ port: 80, loadBalancer: { simple: 'ROUND_ROBIN' } }],
    },
    subsets: [
      {
        name: 'v1',
        labels: { version: 'v1' },
        trafficPolicy: { loadBalancer: { simple: 'RANDOM' }, portLevelSettings: [] },
      },
    ],
    exportTo: [],
    workloadSelector: { app: 'x' },
  })
})

t.test('ServiceEntry, WorkloadEntry and Sidecar are normalised', async (t) => {
  const entry = istio(
    'ServiceEntry',
    `  hosts: [a.b]
  ports: [{number: 80, name: web, protocol: grpc-web}, {number: 81, name: raw, targetPort: 8081}]
  resolution: 2
  endpoints: [{address: c.d, ports: {web: 8080}, labels: {v: "1"}}]`,
  ) as { spec: ServiceEntrySpec }
  t.same(entry.spec, {
    hosts: ['a.b'],
    addresses: [],
    location: 'MESH_EXTERNAL',
    resolution: 'DNS',
    exportTo: [],
    subjectAltNames: [],
    ports: [
      { number: 80, name: 'web', protocol: 'GRPC-WEB' },
      { number: 81, name: 'raw', protocol: '', targetPort: 8081 },
    ],
    endpoints: [
      {
        address: 'c.d',
        ports: { web: 8080 },
        labels: { v: '1' },
        network: '',
        locality: '',
        weight: 0,
        serviceAccount: '',
      },
    ],
  })
  const workload = one(
    'apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a, labels: {v: outer}}\nspec: {address: 1.1.1.1, labels: {v: inner, w: x}}',
  ) as { spec: WorkloadEntrySpec }
  t.same(workload.spec.labels, { v: 'outer', w: 'x' }, 'labels of the metadata win')
  const sidecar = istio('Sidecar', '  egress: [{hosts: ["./*"]}]\n  outboundTrafficPolicy: {}') as {
    spec: SidecarSpec
  }
  t.same(sidecar.spec, {
    ingress: [],
    egress: [{ hosts: ['./*'], bind: '', captureMode: 'DEFAULT' }],
    outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
  })
  t.equal(
    (istio('Sidecar', '  outboundTrafficPolicy: {mode: ALLOW_ANY}') as { spec: SidecarSpec }).spec
      .egress,
    undefined,
    'no egress is not an empty one',
  )
})

t.test('Kubernetes kinds: what a sidecar needs of them', async (t) => {
  const service = one(
    'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  clusterIP: 10.0.0.1\n  clusterIPs: [10.0.0.1, "fd00::1"]\n  ports: [{port: 80}, {name: b, port: 81, targetPort: web, appProtocol: http}]',
  ) as { spec: ServiceSpec; namespace: string }
  t.equal(service.namespace, 'default')
  t.same(service.spec, {
    type: 'ClusterIP',
    selector: {},
    publishNotReadyAddresses: false,
    internalTrafficPolicy: 'Cluster',
    clusterIPs: ['10.0.0.1', 'fd00::1'],
    ports: [
      { name: '', port: 80, protocol: 'TCP', targetPort: 80 },
      { name: 'b', port: 81, protocol: 'TCP', appProtocol: 'http', targetPort: 'web' },
    ],
  })
  const slice = one(
    'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nports: [{port: 80}]\nendpoints:\n- addresses: [10.0.0.9]\n  conditions: {ready: false}\n  hostname: h\n- addresses: [10.0.0.8]\n  targetRef: {kind: Pod, name: p, uid: u}',
  ) as { spec: EndpointSliceSpec }
  t.same(slice.spec.ports, [{ name: '', port: 80, protocol: 'TCP' }])
  t.same(slice.spec.endpoints, [
    { addresses: ['10.0.0.9'], ready: false, terminating: false },
    {
      addresses: ['10.0.0.8'],
      ready: true,
      terminating: false,
      targetRef: { kind: 'Pod', name: 'p' },
    },
  ])
  const pod = one(
    'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {serviceAccountName: sa, containers: [{name: c, image: i, ports: [{name: web, containerPort: 80}]}]}\nstatus: {podIP: 10.0.0.7, podIPs: [{ip: 10.0.0.7}, {ip: "fd00::7"}], conditions: [{type: Ready, status: "False"}]}',
  ) as { spec: PodSpec }
  t.same(pod.spec, {
    serviceAccountName: 'sa',
    containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 80 }] }],
    addresses: ['10.0.0.7', 'fd00::7'],
    ready: false,
    phase: '',
  })
  const namespace = one('apiVersion: v1\nkind: Namespace\nmetadata: {name: a}')
  t.equal(namespace.namespace, '')
})

t.test(
  'a MeshConfig is read from a file of its own, a kind, or the ConfigMap of Istio',
  async (t) => {
    const body =
      'outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nconnectTimeout: 2s\npathNormalization: {normalization: MERGE_SLASHES}\n'
    const indented = body.replaceAll(/^/gm, '    ').trimEnd()
    const texts: ReadonlyArray<readonly [string, string]> = [
      ['mesh.yaml', body],
      ['meshconfig.yml', body],
      ['f.yaml', `kind: MeshConfig\n${body}`],
      [
        'f.yaml',
        `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |-\n${indented}\n`,
      ],
    ]
    for (const [path, text] of texts) {
      const { spec, kind } = one(text, path) as { spec: MeshConfigSpec; kind: string }
      t.equal(kind, 'MeshConfig')
      t.same(
        [spec.outboundTrafficPolicy, spec.connectTimeoutMs, spec.pathNormalization],
        [{ mode: 'REGISTRY_ONLY' }, 2000, 'MERGE_SLASHES'],
      )
      t.same(
        [spec.trustDomain, spec.rootNamespace, spec.dnsRefreshRateMs, spec.accessLogEncoding],
        ['cluster.local', 'istio-system', 60_000, 'TEXT'],
      )
    }
    const { problems } = load([{ path: 'f.yaml', text: texts[3]![1].replace('2s', '2') }])
    t.same(
      problems.map(({ line, column }) => [line, column]),
      [[7, 21]],
      'a place inside the block scalar is one of the file',
    )
  },
)

t.test('every field of the CRDs is known to the schema', async (t) => {
  if (!needed(t) || !existsSync(istioCrds)) return
  const kinds = ['VirtualService', 'DestinationRule', 'ServiceEntry', 'WorkloadEntry', 'Sidecar']
  let checked = 0
  for (const chunk of readFileSync(istioCrds, 'utf8').split(/^---$/m)) {
    const kind = kinds.find((name) => new RegExp(`^    kind: ${name}$`, 'm').test(chunk))
    if (kind === undefined) continue
    for (const version of versionsOf(chunk))
      for (const path of fieldPaths(
        within(version, 'schema', 'openAPIV3Schema', 'properties', 'spec'),
        [],
      )) {
        const text = `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: a}\nspec: ${flow(path)}`
        const unknown = load([{ path: 'f.yaml', text }]).problems.filter(({ message }) =>
          message.includes('there is no field'),
        )
        checked++
        if (unknown.length > 0) t.fail(`${kind} ${path.join('.')}`)
      }
  }
  t.ok(checked > 600, `${checked} fields`)
})

function versionsOf(chunk: string): readonly Raw[] {
  const versions = within(parse(new Source('crd', chunk))[0]?.root(), 'spec', 'versions')
  return versions?.kind === 'list' ? versions.items : []
}

/** Paths of fields; `[]` for a list's items, `{}` for a map's values. */
function* fieldPaths(
  schema: Raw | undefined,
  path: readonly string[],
): Generator<readonly string[]> {
  const properties = within(schema, 'properties')
  if (properties?.kind === 'map')
    for (const { key, value } of properties.entries) {
      yield [...path, key]
      yield* fieldPaths(value, [...path, key])
    }
  yield* fieldPathsBelow(within(schema, 'items'), [...path, '[]'])
  const values = within(schema, 'additionalProperties')
  if (textOf(values) === undefined) yield* fieldPathsBelow(values, [...path, '{}'])
}

function* fieldPathsBelow(
  schema: Raw | undefined,
  path: readonly string[],
): Generator<readonly string[]> {
  if (schema !== undefined) yield* fieldPaths(schema, path)
}

function flow(path: readonly string[]): string {
  const [first, ...rest] = path
  if (first === undefined) return '{}'
  if (first === '[]') return `[${flow(rest)}]`
  return `{${first === '{}' ? 'k' : first}: ${flow(rest)}}`
}
