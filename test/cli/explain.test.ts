import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import type { WorkloadSpec } from '../../config/snapshot.ts'
import { invariant } from '../../proxy/base/invariant.ts'
import { type CallExplanation, explainCall } from '../../proxy/cli/explain-call.ts'
import { readRequest } from '../../proxy/cli/explain-request.ts'
import { explanationText } from '../../proxy/cli/explain-text.ts'

const mesh = `
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  clusterIP: 10.96.0.10
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  clusterIP: 10.96.0.11
  selector: {app: echo}
  ports: [{name: tcp, port: 9000}, {name: sniffed, port: 9100}]
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v1-x, namespace: default, labels: {app: reviews, version: v1}}
spec: {containers: [{name: c, image: i}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-v2-x, namespace: default, labels: {app: reviews, version: v2}}
spec: {containers: [{name: c, image: i}]}
status: {podIP: 10.0.0.2}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
    - name: jason
      match:
        - headers: {end-user: {exact: jason}}
        - uri: {prefix: /only-80}
          port: 80
      route: [{destination: {host: reviews, subset: v2}}]
    - match: [{uri: {prefix: /old/}}]
      redirect: {uri: /new, redirectCode: 302}
    - match: [{uri: {exact: /maintenance}}]
      directResponse: {status: 418, body: {string: short and stout}}
    - match: [{uri: {prefix: /ratings/}}]
      rewrite: {uri: /v2/, authority: ratings.internal}
      timeout: 2s
      retries: {attempts: 3, perTryTimeout: 500ms, retryOn: "connect-failure,503"}
      corsPolicy: {allowOrigins: [{exact: "http://shop.test"}], unmatchedPreflights: IGNORE}
      headers: {request: {set: {x-canary: "yes"}}, response: {remove: [server]}}
      route:
        - {destination: {host: reviews, subset: v1}, weight: 90}
        - {destination: {host: reviews, subset: v3}, weight: 10}
    - match: [{method: {exact: POST}}]
      route:
        - {destination: {host: nowhere}, weight: 1}
        - {destination: {host: reviews, subset: v9}, weight: 1}
        - {destination: {host: reviews, port: {number: 81}}, weight: 1}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: [echo]
  tcp:
    - match: [{destinationSubnets: [192.168.0.0/16]}]
      route: [{destination: {host: reviews, port: {number: 9080}}}]
    - route: [{destination: {host: echo}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
    - {name: v3, labels: {version: v3}}
`
const registryOnly = `
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: strict, namespace: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ["./*"]}]}
`
const lines = mesh.split('\n')
const lineOf = (text: string): number => lines.findIndex((line) => line.includes(text)) + 1

const caller: WorkloadSpec = {
  name: 'page',
  namespace: 'default',
  serviceAccount: 'default',
  labels: { app: 'page' },
  addresses: ['10.0.0.9'],
}

function explained(
  method: string,
  url: string,
  fields: string[] = [],
  yaml = mesh,
): CallExplanation {
  const loaded = load([{ path: 'mesh.yaml', text: yaml }])
  t.same(loaded.refused, [])
  const asked = readRequest(method, url, fields)
  invariant(typeof asked !== 'string', String(asked))
  return explainCall(compile(loaded.resources, caller).snapshot, asked)
}

t.test('rules are told in order, with what failed, its value and its line', async (t) => {
  const call = explained('GET', 'http://reviews:9080/ratings/1?q=1', ['end-user: ann'])
  t.match(
    call.rules.map(({ rule, verdict }) => `${verdict} ${rule}`),
    [
      'fails http[0].match[0]',
      'skipped http[0].match[1]',
      'fails http[1].match[0]',
      'fails http[2].match[0]',
      'wins http[3].match[0]',
      'unreached http[4].match[0]',
    ],
  )
  t.match(call.rules[0], {
    reason: 'header end-user wants exactly "jason", the request has "ann"',
    failed: { line: lineOf('end-user:'), file: 'mesh.yaml' },
  })
  t.equal(call.rules[1]!.reason, 'it is for port 80, this is port 9080')
  t.match(call.winner, { origin: { line: lineOf('uri: {prefix: /ratings/}') } })
  t.match(call.host, { domain: 'reviews', how: 'exact', origin: { name: 'reviews' } })
})

t.test('the winner tells shares, endpoints, policy, rewriting, edits and limits', async (t) => {
  const { outcome } = explained('GET', 'http://reviews:9080/ratings/1?q=1')
  t.match(outcome, {
    kind: 'forward',
    target: '/v2/1?q=1',
    authority: 'ratings.internal',
    timeoutMs: 2000,
    retries: { attempts: 3, perTryTimeoutMs: 500, statusCodes: [503] },
    requestEdits: ['set x-canary: yes'],
    responseEdits: ['remove server'],
    destinations: [
      {
        share: 0.9,
        refusal: '',
        loadBalancer: 'RANDOM',
        endpoints: [{ address: '10.0.0.1', port: 9080, workload: 'reviews-v1-x' }],
        policy: { kind: 'DestinationRule', line: lineOf('name: v1') },
      },
      { share: 0.1, refusal: '503 UH: it has no endpoints with version=v3', endpoints: [] },
    ],
  })
})

t.test('what the filters of the rule do is told', async (t) => {
  const cors = (method: string, ...fields: string[]) => {
    const { outcome } = explained(method, 'http://reviews:9080/ratings/1', fields)
    return outcome.kind === 'forward' ? outcome.filters : []
  }
  const asks = 'access-control-request-method: PUT'
  t.match(cors('GET'), [
    { name: 'cors', text: 'no Origin: nothing is added', origin: { line: lineOf('corsPolicy') } },
  ])
  t.match(cors('GET', 'origin: http://shop.test'), [{ text: 'the reply allows http://shop.test' }])
  t.match(cors('OPTIONS', 'origin: http://shop.test', asks), [{ text: /^preflight, answered 200/ }])
  t.match(cors('OPTIONS', 'origin: http://x.test', asks), [
    { text: /without allowing http:..x.test/ },
  ])
  t.match(cors('OPTIONS', 'origin: http://x.test'), [{ text: /is not allowed: the reply stays/ }])
})

t.test('redirects, direct replies, missing destinations and missing rules are told', async (t) => {
  t.match(explained('GET', 'http://reviews:9080/old/x?q').outcome, {
    kind: 'redirect',
    status: 302,
    location: 'http://reviews:9080/new?q',
  })
  t.match(explained('GET', 'http://reviews:9080/maintenance').outcome, {
    kind: 'direct',
    status: 418,
    body: 'short and stout',
  })
  t.match(explained('POST', 'http://reviews:9080/').outcome, {
    kind: 'forward',
    destinations: [
      { refusal: '503 NC: this workload sees no service nowhere.default.svc.cluster.local' },
      { refusal: /^503 NC: no DestinationRule in force gives reviews.* a subset v9$/ },
      { refusal: /^503 NC: reviews.* has no port 81, only 9080$/ },
    ],
  })
  t.match(explained('GET', 'http://reviews:9080/x').outcome, {
    kind: 'refused',
    status: 404,
    origin: { kind: 'VirtualService', name: 'reviews' },
  })
  t.match(explained('GET', 'http://reviews:9080/%00').outcome, { kind: 'refused', status: 400 })
})

t.test('unknown hosts follow the outbound policy, known Pods are always reached', async (t) => {
  t.match(explained('GET', 'http://nobody:9080/').outcome, { kind: 'passthrough' })
  t.match(explained('GET', 'http://nobody/').outcome, { kind: 'passthrough' })
  const strict = (url: string) => explained('GET', url, [], mesh + registryOnly).outcome
  t.match(strict('http://nobody:9080/'), {
    kind: 'refused',
    status: 502,
    why: /nobody:9080 .*ServiceEntry/,
    origin: { kind: 'Sidecar' },
  })
  t.match(strict('tcp://nobody:1'), { kind: 'refused', status: 0 })
  t.match(strict('http://10.0.0.2:9080/'), { kind: 'passthrough', why: /known Pod/ })
})

t.test('an unknown host brings what may have been meant', async (t) => {
  t.match(explained('GET', 'http://reviews/').outcome, {
    hint: 'reviews is known on port 9080: did you mean http://reviews:9080?',
  })
  t.match(explained('GET', 'http://review:9080/').outcome, { hint: 'Did you mean reviews?' })
  t.match(explained('GET', 'http://example.com:9080/').outcome, { hint: '' })
})

t.test('connections that are not HTTP follow tcp rules', async (t) => {
  for (const url of ['tcp://echo:9000', 'tcp://10.96.0.11:9000', 'http://echo:9000/']) {
    const call = explained('GET', url)
    t.equal(call.request.layer, 'tcp')
    t.match(
      call.rules.map(({ rule, verdict }) => `${verdict} ${rule}`),
      ['fails tcp[0].match[0]', 'wins tcp[1]'],
    )
    t.match(call.rules[0]!.reason, /192\.168\.0\.0\/16, the address is 10\.96\.0\.11/)
    t.match(call.outcome, { kind: 'tcp', destinations: [{ share: 1 }] })
  }
})

t.test('a sniffed port of a service with an address does not ask for the Host', async (t) => {
  const call = explained('GET', 'http://echo:9100/', ['Host: whatever'])
  t.match(call.host, { how: 'any' })
  t.match(call.listener.how, /10\.96\.0\.11/)
})

t.test('the text for people names every place', async (t) => {
  const text = explanationText(explained('GET', 'http://reviews:9080/x/../ratings/1'))
  for (const part of [
    'GET http://reviews:9080/x/../ratings/1',
    '/ratings/1 (as rules see it)',
    `VirtualService default/reviews  mesh.yaml:${lineOf('kind: VirtualService') - 1}`,
    '✗ http[0].match[0] "jason"',
    `does not apply: it is for port 80, this is port 9080`,
    `mesh.yaml:${lineOf('uri: {prefix: /ratings/}')}`,
    '  90 %  outbound|9080|v1|reviews.default.svc.cluster.local',
    '10.0.0.1:9080 reviews-v1-x',
    'answered 503 UH',
    'sent as   /v2/1, Host ratings.internal',
    'timeout   2 s',
    'retries   3 on connect-failure, 503, each at most 500 ms',
  ])
    t.ok(text.includes(part), part, { text })
})

t.test('words that make no request are refused with a sentence', async (t) => {
  for (const [url, fields, why] of [
    ['ftp://x', [], /not a URL/],
    ['tcp://x', [], /needs a port/],
    ['http://x:70000', [], /not a port/],
    ['http://x', ['nocolon'], /not a header/],
  ] as const)
    t.match(readRequest('GET', url, fields), why)
})

function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const main = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'explain', ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

t.test('the command prints text or JSON', async (t) => {
  const folder = t.testdir({ 'mesh.yaml': mesh })
  const asked = [
    '--config',
    folder,
    '--namespace',
    'default',
    'http://reviews:9080/',
    '-H',
    'end-user: jason',
  ]
  const text = await run(...asked)
  t.equal(text.code, 0, text.err)
  t.match(text.out, /✓ http\[0\]\.match\[0\] "jason"/)
  const json = await run(...asked, '--format', 'json')
  t.match(JSON.parse(json.out), { winner: { name: 'jason' }, outcome: { kind: 'forward' } })
  t.match(await run('--config', `${folder}/none`, 'http://x'), { code: 2, err: /cannot read/ })
  t.match(await run('--config', folder, 'ftp://x'), { code: 1, err: /not a URL/ })
})

t.test('how an endpoint is chosen is told with the line that says so', async (t) => {
  const yaml = `${mesh}---
apiVersion: v1
kind: Service
metadata: {name: many, namespace: default}
spec: {selector: {app: many}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: many-1, namespace: default, labels: {app: many, istio-locality: r1.z1}}
status: {phase: Running, podIP: 10.0.7.1}
---
apiVersion: v1
kind: Pod
metadata: {name: many-2, namespace: default, labels: {app: many}}
status: {phase: Running, podIP: 10.0.7.2}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: many, namespace: default}
spec:
  host: many
  trafficPolicy:
    loadBalancer:
      consistentHash: {httpCookie: {name: user, ttl: 60s}}
      localityLbSetting: {failover: [{from: r1, to: r2}]}
    outlierDetection: {}
`
  const line = (text: string) => yaml.split('\n').findIndex((one) => one.includes(text)) + 1
  const by = (text: string) => `, as DestinationRule default/many  mesh.yaml:${line(text)} says`
  const text = explanationText(explained('GET', 'http://many/', [], yaml))
  t.match(text, '10.0.7.1:80 many-1 in r1/z1, 10.0.7.2:80 many-2 in no known locality')
  const balanced = 'chosen by RING_HASH by cookie user (made where it is missing)'
  t.match(text, `${balanced}${by('    loadBalancer:')}`)
  const near = 'nearest first: those in the subzone, zone, region of (unknown)'
  t.match(text, `${near}${by('localityLbSetting')}`)
})

t.test('faults and a retry budget of its own are told', async (t) => {
  const yaml = `${mesh}---
apiVersion: v1
kind: Service
metadata: {name: weak, namespace: default}
spec: {selector: {app: weak}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: weak, namespace: default}
spec:
  host: weak
  trafficPolicy: {retryBudget: {percent: 30}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: weak, namespace: default, annotations: {outrider.dev/faults: "reset 100 1%"}}
spec:
  hosts: [weak]
  http:
  - route: [{destination: {host: weak}}]
    fault:
      delay: {fixedDelay: 2s, percentage: {value: 7}}
`
  const text = explanationText(explained('GET', 'http://weak/', [], yaml))
  t.match(text, 'retries: at once at most 30 % of the requests under way, or 3')
  t.match(
    text,
    /fault +7 % of the requests are delayed by 2000 ms, on purpose\n +VirtualService default\/weak/,
  )
  t.match(
    text,
    /fault +1 % of the tries are reset behind 100 bytes of the reply's body, on purpose/,
  )
})

t.test('limits and outlier detection are told, each with the line of its block', async (t) => {
  const slice = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: guarded-1, namespace: default, labels: {kubernetes.io/service-name: guarded}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.9.0.1]}, {addresses: [10.9.0.2]}, {addresses: [10.9.0.3]}]
`
  const yaml = `${mesh}---
apiVersion: v1
kind: Service
metadata: {name: guarded, namespace: default}
spec: {ports: [{name: http, port: 80}]}
---
${slice}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: guarded, namespace: default, annotations: {outrider.dev/always-eject-one: "true"}}
spec:
  host: guarded
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 9}, http: {http2MaxRequests: 20}}
    outlierDetection: {consecutiveGatewayErrors: 3, baseEjectionTime: 7s}
`
  const text = explanationText(explained('GET', 'http://guarded/', [], yaml))
  const lineOf = (part: string) => 1 + yaml.split('\n').findIndex((line) => line.includes(part))
  t.match(text, /at most 9 connections, 20 requests at once, as DestinationRule default\/guarded/)
  t.match(
    text,
    /5 errors or 3 gateway errors in a row: ejected for 7 s, at most 1 of 3 at once, as DestinationRule/,
  )
  for (const block of [
    'connectionPool: {tcp: {maxConnections: 9',
    'outlierDetection: {consecutiveGate',
  ])
    t.ok(text.includes(`:${lineOf(block)}`), `${block} is in line ${lineOf(block)}`)
})
