/** How the broken configurations are written, and those of them whose values are wrong. */
import type { Severity } from '../../config/resource.ts'

/** Four lines of envelope: the body begins on line 5, below `spec:`. */
function istio(kind: string): (body: string) => string {
  return (body) =>
    `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: a}\nspec:\n${body}\n`
}
export const vs = istio('VirtualService')
export const dr = istio('DestinationRule')
export const se = istio('ServiceEntry')
export const we = istio('WorkloadEntry')
export const sc = istio('Sidecar')
export const svc = (body: string) =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\nspec:\n${body}\n`
/** A rule with one destination, on lines 6 and 7 of a VirtualService for `reviews`. */
export const rule = (extra: string) =>
  vs(`  hosts: [reviews]\n  http:\n  - route: [{destination: {host: reviews}}]\n${extra}`)
export const match = (condition: string) => rule(`    match:\n    - ${condition}`)
export const policy = (body: string) => dr(`  host: reviews\n  trafficPolicy:\n${body}`)

export type Case = readonly [
  name: string,
  yaml: string,
  /** line:column severity code */
  expected: `${number}:${number} ${Severity} ${string}`,
  says: RegExp,
]

export const values: readonly Case[] = [
  ['a duration without unit', rule('    timeout: 5'), '8:14 error IST0106', /must be a duration/],
  [
    'a duration with an unknown unit',
    rule('    timeout: 5 sec'),
    '8:14 error IST0106',
    /"5 sec" is not a duration/,
  ],
  ['a duration of zero', rule('    timeout: 0s'), '8:14 error IST0106', /shorter than 1ms/],
  [
    'a duration finer than a millisecond',
    rule('    timeout: 1.5ms'),
    '8:14 error IST0106',
    /whole milliseconds/,
  ],
  [
    'a negative duration',
    rule('    retries: {attempts: 1, perTryTimeout: -1s}'),
    '8:43 error IST0106',
    /shorter than 1ms/,
  ],
  [
    'a negative weight',
    vs(
      '  hosts: [a.b]\n  http:\n  - route:\n    - {destination: {host: a.b}, weight: -1}\n    - {destination: {host: c.d}, weight: 1}',
    ),
    '8:42 error IST0106',
    /weight -1 is negative/,
  ],
  [
    'weights that add up to nothing',
    vs(
      '  hosts: [a.b]\n  http:\n  - route:\n    - {destination: {host: a.b}}\n    - {destination: {host: c.d}}',
    ),
    '7:5 error IST0106',
    /add up to 0/,
  ],
  [
    'a port out of range',
    vs('  hosts: [a.b]\n  http:\n  - route: [{destination: {host: a.b, port: {number: 70000}}}]'),
    '7:54 error IST0106',
    /70000 is not in the range 1 to 65535/,
  ],
  [
    'a destination without host',
    vs('  hosts: [a.b]\n  http:\n  - route: [{destination: {subset: v1}}]'),
    '7:27 error IST0106',
    /host is missing/,
  ],
  [
    'a wildcard destination',
    vs('  hosts: [a.b]\n  http:\n  - route: [{destination: {host: "*.b"}}]'),
    '7:34 error IST0106',
    /has a wildcard/,
  ],
  [
    'a host with a path',
    vs('  hosts: ["a.b/c"]\n  http: [{redirect: {uri: /}}]'),
    '5:11 error IST0106',
    /not a valid host name/,
  ],
  [
    'a regular expression that does not compile',
    match('{uri: {regex: "/(a"}}'),
    '9:21 error IST0106',
    /not a regular expression/,
  ],
  [
    'a regular expression with lookahead',
    match('{uri: {regex: "/(?=a)"}}'),
    '9:21 error IST0106',
    /not a regular expression/,
  ],
  ['an empty regular expression', match('{method: {regex: ""}}'), '9:24 error IST0106', /empty/],
  [
    'two kinds of match in one',
    match('{uri: {exact: /a, prefix: /b}}'),
    '9:25 error IST0106',
    /only one of exact, prefix/,
  ],
  [
    'a header name with a space',
    match('{headers: {"a b": {exact: c}}}'),
    '9:18 error IST0106',
    /not a valid header name/,
  ],
  [
    'a header value with a lone percent sign',
    rule('    headers: {request: {set: {x: 50%}}}'),
    '8:34 error IST0106',
    /% in "50%"/,
  ],
  [
    'removing the Host header',
    rule('    headers: {request: {remove: [Host]}}'),
    '8:34 error IST0106',
    /"Host" cannot be changed/,
  ],
  [
    'a space between retry conditions',
    rule('    retries: {attempts: 1, retryOn: "5xx, reset"}'),
    '8:37 error IST0106',
    /" reset" has a space/,
  ],
  [
    'an unknown retry condition',
    rule('    retries: {attempts: 1, retryOn: 6xx}'),
    '8:37 error IST0106',
    /"6xx" is not a retry condition/,
  ],
  [
    'a redirect with a route',
    rule('    redirect: {uri: /x}'),
    '8:5 error IST0106',
    /cannot be combined with route/,
  ],
  [
    'a redirect that changes nothing',
    vs('  hosts: [a.b]\n  http: [{redirect: {redirectCode: 302}}]'),
    '6:21 error IST0106',
    /must change something/,
  ],
  [
    'a status out of range',
    vs('  hosts: [a.b]\n  http: [{directResponse: {status: 99}}]'),
    '6:36 error IST0106',
    /99 is not in the range/,
  ],
  [
    'a rule without action',
    vs('  hosts: [a.b]\n  http:\n  - timeout: 1s'),
    '7:5 error IST0106',
    /one of route, redirect and directResponse/,
  ],
  [
    'no rule at all',
    vs('  hosts: [a.b]'),
    '5:3 error IST0106',
    /at least one of http, tls and tcp/,
  ],
  [
    'a fault without percentage',
    rule('    fault: {abort: {httpStatus: 500}}'),
    '8:20 warning IST0133',
    /0 % of the requests/,
  ],
  [
    'a name that YAML takes for a boolean',
    match('{queryParams: {n: {exact: a}}}'),
    '9:22 warning OUT-YAML11',
    /unquoted name n is read as "false"/,
  ],
  [
    'a label value with a wildcard',
    sc('  workloadSelector: {labels: {app: "re*"}}\n  egress: [{hosts: ["*/*"]}]'),
    '5:36 error IST0106',
    /wildcard/,
  ],
  [
    'an egress host without namespace',
    sc('  egress: [{hosts: [reviews]}]'),
    '5:21 error IST0106',
    /not namespace\/name/,
  ],
  [
    'a Sidecar that says nothing',
    sc('  workloadSelector: {labels: {app: a}}'),
    '5:3 error IST0106',
    /a Sidecar needs/,
  ],
  [
    'an address that is none',
    se(
      '  hosts: [a.b]\n  addresses: [10.0.0.300]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: STATIC',
    ),
    '6:15 error IST0106',
    /neither an IP address nor a CIDR/,
  ],
  [
    'a CIDR that is too long',
    vs(
      '  hosts: [a.b]\n  tcp:\n  - match: [{destinationSubnets: [10.0.0.0/33]}]\n    route: [{destination: {host: a.b}}]',
    ),
    '7:35 error IST0106',
    /neither an IP address nor a CIDR/,
  ],
  [
    'an unknown protocol',
    se('  hosts: [a.b]\n  ports: [{number: 80, name: http, protocol: HTTP3}]'),
    '6:46 error IST0106',
    /"HTTP3" is not a protocol/,
  ],
  [
    'a host name with STATIC resolution',
    se(
      '  hosts: [a.b]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: STATIC\n  endpoints:\n  - address: c.d',
    ),
    '9:14 error IST0106',
    /"c.d" is not an IP address/,
  ],
  [
    'a WorkloadEntry without address',
    we('  labels: {app: a}'),
    '5:3 error IST0106',
    /address is missing/,
  ],
  [
    'a Service port without number',
    svc('  ports: [{name: http}]'),
    '5:11 error IST0106',
    /port number is missing/,
  ],
]
