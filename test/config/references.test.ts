import t from 'tap'
import { load } from '../../config/load.ts'

/** `line severity code message` of everything said about these documents, in one file. */
function said(...documents: readonly string[]): string[] {
  const text = documents.join('---\n')
  return load([{ path: 'f.yaml', text }])
    .problems.filter(({ code }) => code !== 'OUT-NOSERVICE' && code !== 'OUT-SUBSETALL')
    .map(({ line, severity, code, message }) => `${line} ${severity} ${code} ${message}`)
}

function object(kind: string, name: string, body: string, more = ''): string {
  const version = kind === 'Service' || kind === 'Pod' ? 'v1' : 'networking.istio.io/v1'
  return `apiVersion: ${version}\nkind: ${kind}\nmetadata: {name: ${name}${more}}\n${body}\n`
}
const service = (name: string, ports = '[{name: http, port: 80}]', more = '') =>
  object('Service', name, `spec: {selector: {app: ${name}}, ports: ${ports}}`, more)
const route = (name: string, destination: string, more = '') =>
  object(
    'VirtualService',
    name,
    `spec:\n  hosts: [${name}.test]\n  http: [{route: [{destination: ${destination}}]}]`,
    more,
  )
const pod = (name: string, labels: string) =>
  object('Pod', name, 'spec: {}', `, labels: {${labels}}`)

t.test('a host is found by its short, its full and its wildcard name', async (t) => {
  const mesh = [
    service('reviews'),
    object(
      'ServiceEntry',
      'wild',
      'spec: {hosts: ["*.eu.org"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}',
    ),
  ]
  for (const host of [
    'reviews',
    'reviews.default.svc.cluster.local',
    'reviews.default.svc.other.domain',
    'a.eu.org',
  ])
    t.same(said(route('a', `{host: ${host}}`), ...mesh), [], host)
  t.match(said(route('a', '{host: nope}'), ...mesh), [
    /^6 warning IST0101 .*no service "nope.default.svc.cluster.local"/,
  ])
  t.match(said(route('a', '{host: reviews}', ', namespace: other'), ...mesh), [
    /^6 warning IST0101 .*"reviews.other.svc.cluster.local"/,
  ])
})

t.test('a name with one dot is taken as it is, and the whole name is proposed', async (t) => {
  const text = `${route('a', '{host: db.prod}')}---\n${service('db', '[{name: tcp, port: 80}]', ', namespace: prod')}`
  const problem = load([{ path: 'f.yaml', text }]).problems.find(({ code }) => code === 'IST0101')
  t.equal(problem?.hint, 'A name with a dot is taken as it is: write db.prod.svc.cluster.local.')
})

t.test('a service that is not exported to the client is named with its place', async (t) => {
  const hidden = service(
    'reviews',
    '[{name: http, port: 80}]',
    ', annotations: {networking.istio.io/exportTo: "banana, ."}',
  )
  t.same(said(route('a', '{host: reviews}'), hidden), [])
  t.match(
    said(route('a', '{host: reviews.default.svc.cluster.local}', ', namespace: apple'), hidden),
    [/\(f.yaml:8\) is not exported to namespace apple/],
  )
  t.same(
    said(route('a', '{host: reviews.default.svc.cluster.local}', ', namespace: banana'), hidden),
    [],
  )
})

t.test('several ports need one to be named, and it must exist', async (t) => {
  const two = service('reviews', '[{name: http, port: 80}, {name: http-b, port: 81}]')
  t.match(said(route('a', '{host: reviews}'), two), [
    /warning IST0112 .*\(f.yaml:8\) has the ports 80, 81/,
  ])
  t.same(said(route('a', '{host: reviews, port: {number: 81}}'), two), [])
  t.match(said(route('a', '{host: reviews, port: {number: 82}}'), two), [
    /error IST0101 .*has no port 82/,
  ])
})

t.test('subsets are looked for in the DestinationRules of the host', async (t) => {
  const rule = object(
    'DestinationRule',
    'r',
    'spec:\n  host: reviews\n  subsets: [{name: v1}, {name: v2}]',
  )
  const to = (subset: string) => route('a', `{host: reviews, subset: ${subset}}`)
  t.same(said(to('v1'), service('reviews'), rule), [])
  t.match(said(to('v3'), service('reviews'), rule), [
    /error IST0101 .*"v3" is not defined by the DestinationRule of .*\(f.yaml:13\)/,
  ])
  t.match(said(to('v1'), service('reviews')), [
    /warning IST0101 .*no DestinationRule in these files defines subset "v1"/,
  ])
  const wild = rule.replace('host: reviews', 'host: "*.default.svc.cluster.local"')
  t.same(said(to('v1'), service('reviews'), wild), [], 'a wildcard rule defines it')
  const refused = `${rule}  nonsense: 1\n`
  t.notMatch(
    said(to('v3'), service('reviews'), refused),
    [/subset "v3"/],
    'a refused rule may have defined it',
  )
})

t.test('two VirtualServices for one host: each names the other and who wins', async (t) => {
  const of = (name: string, extra = '', more = '') =>
    object(
      'VirtualService',
      name,
      `spec:\n  hosts: [x.test]\n${extra}  http: [{redirect: {uri: /}}]`,
      more,
    )
  const both = said(of('b'), of('a'))
  t.match(both, [
    /^5 error IST0109 .*default\/a \(f.yaml:8\), which wins/,
    /^12 error IST0109 .*default\/b \(f.yaml:1\), which has no effect for it/,
  ])
  const aged = said(
    of('b', '', ', creationTimestamp: "2020-01-01T00:00:00Z"'),
    of('a', '', ', creationTimestamp: "2021-01-01T00:00:00Z"'),
  )
  t.match(aged, [/which has no effect/, /which wins/], 'the older one wins')
  t.same(
    said(of('a', '  exportTo: ["."]\n'), of('b', '  exportTo: ["."]\n', ', namespace: other')),
    [],
    'nobody sees both',
  )
  t.same(
    said(of('a', '  gateways: [edge]\n'), of('b')).filter((one) => one.includes('IST0109')),
    [],
    'only one is for sidecars',
  )
})

t.test('rules that are never reached name the rule that hides them', async (t) => {
  const rules = (...matches: readonly string[]) =>
    said(
      object(
        'VirtualService',
        'a',
        `spec:\n  hosts: [x.test]\n  http:\n${matches.map((match) => `  - {${match}redirect: {uri: /}}`).join('\n')}`,
      ),
    )
  const prefix = (path: string, more = '') => `match: [{uri: {prefix: ${path}}${more}}], `
  t.same(rules(prefix('/a/b'), prefix('/a'), ''), [])
  t.match(rules(prefix('/a'), prefix('/a/b')), [
    /^8 warning IST0130/,
    /^8 info IST0131 .*http\[0\] \(line 7\) already takes these/,
  ])
  t.match(rules('', prefix('/a')), [
    /^8 warning IST0130 .*http\[0\] \(line 7\) already takes everything/,
  ])
  t.match(rules(prefix('/'), prefix('/a'), ''), [/^8 warning/, /^9 warning/])
  t.same(
    rules(
      prefix('/a', ', method: {exact: GET}'),
      prefix('/a', ', method: {exact: POST}'),
      prefix('/a'),
    ),
    [],
  )
  t.same(
    rules(
      prefix('/a', ', headers: {x: {exact: one}}'),
      prefix('/a', ', headers: {x: {exact: two}}'),
    ),
    [],
  )
  t.match(
    rules(prefix('/a', ', headers: {x: {}}'), prefix('/a/b', ', headers: {x: {exact: two}}')),
    [/IST0130/, /IST0131/],
  )
  t.same(
    rules(prefix('/a', ', ignoreUriCase: true'), prefix('/a')),
    [],
    'case is not reasoned about',
  )
  t.same(
    rules(
      prefix('/a', ', port: 80'),
      prefix('/a', ', port: 81'),
      prefix('/a', ', sourceLabels: {v: x}'),
      prefix('/a'),
    ),
    [],
  )
})

t.test('Sidecars that apply to one workload name each other', async (t) => {
  const sidecar = (name: string, selector: string) =>
    object('Sidecar', name, `spec: {${selector}egress: [{hosts: ["./*"]}]}`)
  t.match(said(sidecar('a', ''), sidecar('b', '')), [
    /^4 error IST0111 .*b \(f.yaml:6\)/,
    /^9 error IST0111 .*a \(f.yaml:1\)/,
  ])
  const of = (label: string) => `workloadSelector: {labels: {${label}}}, `
  t.match(said(sidecar('a', of('app: x')), sidecar('b', of('v: z')), pod('p', 'app: x, v: z')), [
    /^4 error IST0110 .*b \(f.yaml:6\) also apply for Pod p/,
    /^9 error IST0110/,
  ])
  t.match(said(sidecar('a', of('app: x')), pod('p', 'app: w')), [
    /^4 warning IST0101 no workload of namespace default|^4 warning IST0101 .*no workload of namespace default/,
  ])
  t.same(said(sidecar('a', of('app: x'))), [], 'no workload is known at all')
})

t.test('subsets without members and rules without service are told', async (t) => {
  const rule = object(
    'DestinationRule',
    'r',
    'spec:\n  host: reviews\n  subsets: [{name: v1, labels: {version: v1}}]',
  )
  t.match(said(rule), [/^5 warning IST0174 /])
  t.match(said(rule, service('reviews')), [/^6 warning IST0173 .*selects no Pod/])
  t.match(said(rule, service('reviews'), pod('p', 'app: reviews, version: v2')), [/IST0173/])
  t.same(said(rule, service('reviews'), pod('p', 'app: reviews, version: v1')), [])
  const deployment =
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: reviews, version: v1}}}}\n'
  t.same(said(rule, service('reviews'), deployment), [])
  const entry = object(
    'ServiceEntry',
    'e',
    'spec:\n  hosts: [reviews.default.svc.cluster.local]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: STATIC\n  endpoints: [{address: 1.1.1.1, labels: {version: v1}}]',
  )
  t.same(said(rule, entry), [])
})

t.test('ports of Services and ServiceEntries that will surprise are told', async (t) => {
  t.match(said(service('a', '[{name: web, port: 80}]')), [
    /^4 info IST0118 .*"web" declares no protocol/,
  ])
  t.same(
    said(service('a', '[{name: web, port: 80, appProtocol: http}, {name: grpc-web-x, port: 81}]')),
    [],
  )
  t.match(said(service('a', '[{name: HTTP2-x, port: 82}, {name: grpc, port: 83}]')), [
    /^4 warning OUT-HTTP2 .*http2 is known, not yet implemented/,
    /^4 warning OUT-HTTP2 .*grpc is known, not yet implemented/,
  ])
  t.same(said(service('a', '[{name: web, port: 80}]', ', namespace: kube-system')), [])
  t.match(
    said(
      object(
        'Service',
        'x',
        'spec: {type: ExternalName, externalName: a.b, ports: [{name: tcp, port: 443}]}',
      ),
    ),
    [/warning IST0150/],
  )
  const entry = (name: string, protocol: string, more = '') =>
    object(
      'ServiceEntry',
      name,
      `spec:\n  hosts: [a.b]\n  ports: [{number: 443, name: p, protocol: ${protocol}}]\n  resolution: DNS\n${more}`,
    )
  t.match(said(entry('a', 'TCP')), [/^6 warning IST0134 /])
  t.same(said(entry('a', 'TCP', '  addresses: [10.0.0.1]')), [])
  t.match(said(entry('a', 'HTTP'), entry('b', 'HTTPS')), [
    /^6 warning IST0177 .*default\/b \(f.yaml:10\)/,
    /^15 warning IST0177 .*default\/a \(f.yaml:1\)/,
  ])
  t.same(
    said(entry('a', 'HTTP', '  exportTo: ["."]'), entry('b', 'HTTPS', '  exportTo: [other]')),
    [],
  )
})

t.test('an application that runs as the proxy, or behind two Services, is told', async (t) => {
  t.match(
    said(
      object('Pod', 'p', 'spec: {containers: [{name: app, securityContext: {runAsUser: 1337}}]}'),
    ),
    [/^4 warning IST0144/],
  )
  t.same(
    said(
      object(
        'Pod',
        'p',
        'spec: {containers: [{name: istio-proxy, securityContext: {runAsUser: 1337}}]}',
      ),
    ),
    [],
  )
  const deployment =
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: x}}}}\n'
  const of = (name: string, port: string) =>
    object('Service', name, `spec: {selector: {app: x}, ports: [${port}]}`)
  t.match(said(deployment, of('a', '{name: http, port: 80}'), of('b', '{name: tcp, port: 80}')), [
    /^1 warning IST0116 .*a:80 http \(f.yaml:6\), b:80 tcp \(f.yaml:11\)/,
  ])
  t.match(
    said(
      deployment,
      of('a', '{name: http, port: 80}'),
      of('b', '{name: http, port: 81, targetPort: 80}'),
    ),
    [/^1 warning IST0137/],
  )
  t.same(said(deployment, of('a', '{name: http, port: 80}'), of('b', '{name: http, port: 80}')), [])
})

t.test('traps are told where they are laid', async (t) => {
  const rules = (http: string, more = '') =>
    object('VirtualService', 'a', `spec:\n  hosts: [reviews]\n  http:\n  - ${http}`, more)
  const codes = (...documents: readonly string[]) =>
    load([{ path: 'f.yaml', text: documents.join('---\n') }]).problems.map(
      ({ line, severity, code }) => `${line} ${severity} ${code}`,
    )
  t.same(codes(rules('redirect: {uri: /}')), ['5 info OUT-NOSERVICE'])
  t.same(codes(rules('redirect: {uri: /}'), service('reviews')), [])
  t.same(
    codes(rules('redirect: {uri: /}').replace('hosts:', 'gateways: [e]\n  hosts:')),
    ['5 warning IST0101'],
    'not for sidecars',
  )
  const authority = (value: string) =>
    `{match: [{authority: {exact: "${value}"}}], redirect: {uri: /}}`
  t.same(codes(rules(authority('shop')), service('reviews')), ['7 info OUT-AUTHORITY'])
  t.same(codes(rules(authority('shop:80')), service('reviews')), [])
  const retried = (on: string, match = '') =>
    `{${match}route: [{destination: {host: reviews}}], retries: {attempts: 2, retryOn: "${on}"}}`
  t.same(codes(rules(retried('5xx,connect-failure')), service('reviews')), ['7 info OUT-RETRYPOST'])
  t.same(codes(rules(retried('connect-failure,refused-stream')), service('reviews')), [])
  for (const never of ['retriable-headers', 'http3-post-connect-failure', 'retriable-status-codes'])
    t.same(codes(rules(retried(never)), service('reviews')), ['7 info OUT-RETRYNEVER'], never)
  const codesBeside = retried('retriable-status-codes,503', 'match: [{method: {exact: GET}}], ')
  t.same(codes(rules(codesBeside), service('reviews')), [])
  t.same(codes(rules(retried('503', 'match: [{method: {exact: GET}}], ')), service('reviews')), [])
})

t.test('numbers that defeat each other are told with both lines', async (t) => {
  const rules = (http: string) =>
    object('VirtualService', 'a', `spec:\n  hosts: [reviews]\n  http:\n  - ${http}`)
  const told = (http: string) =>
    load([{ path: 'f.yaml', text: `${rules(http)}---\n${service('reviews')}` }]).problems.map(
      ({ line, severity, code, message }) => `${line} ${severity} ${code} ${message}`,
    )
  const timed = (timeout: string, perTry: string, attempts: number) =>
    told(
      `{route: [{destination: {host: reviews}}], retries: {attempts: ${attempts}, perTryTimeout: ${perTry}},\n    timeout: ${timeout}}`,
    )
  t.match(timed('2s', '2s', 2), [
    /^7 warning OUT-TIMEOUT .*2s is not shorter than .* of 2s \(f.yaml:8\)/,
  ])
  t.match(timed('2500ms', '1s', 2), [
    /^7 warning OUT-TIMEOUT .*3 tries of 1s .* of 2500ms .*f.yaml:8.*: of tries that hang, 2 end in time/,
  ])
  t.match(timed('1500ms', '1s', 1), [/2 tries of 1s .*one ends in time/])
  t.same(timed('3s', '1s', 2), [])
  const split = (...weights: readonly number[]) =>
    told(
      `route: [${weights.map((weight) => `{destination: {host: reviews}, weight: ${weight}}`).join(', ')}]`,
    )
  t.match(split(3, 1), [/^7 info OUT-WEIGHTS .*add up to 4, .*reviews 75.0 %, reviews 25.0 %/])
  t.same(split(75, 25), [])
  t.same(split(1), [])
  const subsets = object(
    'DestinationRule',
    'd',
    'spec:\n  host: reviews\n  subsets:\n  - name: all',
  )
  t.match(load([{ path: 'f.yaml', text: `${subsets}---\n${service('reviews')}` }]).problems, [
    { line: 7, code: 'OUT-SUBSETALL', message: /subset "all" has no labels/ },
  ])
})

t.test(
  'delegates must exist, without hosts; their own headers hide those of the root',
  async (t) => {
    const root = object(
      'VirtualService',
      'a',
      'spec:\n  hosts: [x.test]\n  http:\n  - delegate: {name: d}\n    headers: {request: {set: {x: "1"}}}',
    )
    const leaf = (more: string) =>
      object(
        'VirtualService',
        'd',
        `spec:\n${more}  http: [{redirect: {uri: /}, headers: {response: {set: {z: "2"}}}}]`,
      )
    t.match(said(root), [/^7 warning IST0101 .*no VirtualService default\/d/])
    t.match(said(root, leaf('')), [/^8 info OUT-DELEGATE .*default\/d has its own \(f.yaml:14\)/])
    t.match(
      said(root, leaf('  hosts: [z.test]\n')).join(),
      /IST0101 .*default\/d \(f.yaml:10\) has hosts of its own/,
    )
    const away = root.replace('{name: d}', '{name: d, namespace: far}')
    const hidden = object(
      'VirtualService',
      'd',
      'spec:\n  exportTo: [.]\n  http: [{redirect: {uri: /}}]',
      ', namespace: far',
    )
    t.match(said(away, hidden), [
      /^7 warning IST0101 .*far\/d \(f.yaml:\d+\) is not exported to namespace default: the rule does not exist/,
    ])
    t.same(said(away, hidden.replace('[.]', '[default]')), [])
  },
)

t.test(
  'a rule of a delegate that fits no block of the root is told where it is written',
  async (t) => {
    const root = object(
      'VirtualService',
      'a',
      'spec:\n  hosts: [x.test]\n  http:\n  - match: [{uri: {prefix: /a/}}, {uri: {prefix: /b/}}]\n    delegate: {name: d}',
    )
    const leaf = (match: string) =>
      object('VirtualService', 'd', `spec:\n  http:\n  - match: ${match}\n    redirect: {uri: /}`)
    t.match(said(root, leaf('[{uri: {prefix: /a/x}}, {uri: {exact: /c}}]')), [
      /^15 warning IST0130 .*spec\.http\[0\]\.match\[1\]: contradicts http\[0\] of default\/a \(f\.yaml:7\), which delegates to it: uri does not extend the root's/,
    ])
    t.same(said(root, leaf('[{uri: {prefix: /a/x}}, {method: {exact: GET}}]')), [])
  },
)

t.test('a DestinationRule of the client namespace that hides subsets is told', async (t) => {
  const of = (name: string, subsets: string, more = '') =>
    object(
      'DestinationRule',
      name,
      `spec:\n  host: reviews.default.svc.cluster.local\n  subsets: [${subsets}]`,
      more,
    )
  const v1 = '{name: v1}'
  const away = (subsets: string) => of('away', subsets, ', namespace: shop')
  t.match(said(service('reviews'), of('home', '{name: v1}, {name: v2}'), away(v1)), [
    /^17 info OUT-RULEHIDES .*subsets v2 of default\/home \(f.yaml:6\)/,
  ])
  t.same(said(service('reviews'), of('home', v1), away(v1)), [])
})

const outlierRule = (settings: string, more = '', policy = '') =>
  object(
    'DestinationRule',
    'a',
    `spec:\n  host: a\n  trafficPolicy:\n    outlierDetection: ${settings}\n${policy}`,
    more,
  )
const pods = (count: number) =>
  Array.from({ length: count }, (_, i) => pod(`a-${i}`, `app: a, n: n${i}`))

t.test('outlier detection that can never eject is told, with the number that would', async (t) => {
  const of = (...documents: string[]) =>
    said(...documents, service('a')).filter((line) => line.includes('OUT-OUTLIER'))
  t.match(of(outlierRule('{}'), ...pods(3)), [
    /^7 warning .*nobody is ever ejected: one of 3 endpoints .*is 34 %, and maxEjectionPercent is 10 when not written/,
  ])
  t.match(of(outlierRule('{maxEjectionPercent: 33}'), ...pods(3)), [
    /is 34 %, and maxEjectionPercent is 33/,
  ])
  t.same(of(outlierRule('{maxEjectionPercent: 34}'), ...pods(3)), [])
  t.same(of(outlierRule('{}'), ...pods(10)), [])
  t.same(of(outlierRule('{}')), [], 'nobody knows how many there will be')
  const eased = ', annotations: {outrider.dev/always-eject-one: "true"}'
  t.same(of(outlierRule('{}', eased), ...pods(3)), [])
  t.match(of(outlierRule('{}', eased), ...pods(1)), [/the only endpoint/])
  const deployment = `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 3, template: {metadata: {labels: {app: a}}}}\n`
  t.match(of(outlierRule('{}'), deployment), [/one of 3 endpoints/], 'replicas of a template')
  t.match(of(outlierRule('{consecutive5xxErrors: 0}'), ...pods(20)), [
    /^7 warning .*counts nothing/,
  ])
  t.match(of(outlierRule('{consecutiveGatewayErrors: 9}'), ...pods(20)), [/9 is never reached/])
  t.match(of(outlierRule('{minHealthPercent: 60, maxEjectionPercent: 50}'), ...pods(4)), [
    /all endpoints are used again, ejected ones too, as soon as more than 40 % are out, and 50 % may be/,
  ])
  const passthrough = '    loadBalancer: {simple: PASSTHROUGH}\n'
  t.match(of(outlierRule('{}', '', passthrough), ...pods(20)), [/the client chooses the address/])
  const subset =
    '  subsets:\n  - {name: v1, labels: {n: n1}, trafficPolicy: {outlierDetection: {}}}\n'
  t.match(of(outlierRule('{}', '', subset), ...pods(20)), [/^9 warning .*the only endpoint/])
})
