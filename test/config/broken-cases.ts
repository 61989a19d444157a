/** Broken configurations by group: a name, the YAML, where and how it must be told. */
import { type Case, dr, match, policy, rule, se, svc, vs, we } from './broken-values.ts'

export const syntax: readonly Case[] = [
  [
    'a bracket that is not closed',
    vs('  hosts: [reviews\n  http: []'),
    '6:3 error OUT-YAML',
    /not YAML/,
  ],
  [
    'a quote that is not closed',
    vs('  hosts:\n  - "reviews\n  http: []'),
    '6:5 error OUT-YAML',
    /closing "quote/,
  ],
  ['a tab as indentation', vs('  hosts: [a.b]\n\thttp: []'), '6:1 error OUT-YAML', /tab/i],
  [
    'a colon inside an unquoted value',
    vs('  hosts: [a.b]\n  http: x: y'),
    '6:9 error OUT-YAML',
    /nested mappings/,
  ],
  [
    'a line indented too deep',
    vs('  hosts: [a.b]\n  exportTo: x\n     http: []'),
    '7:6 error OUT-YAML',
    /indented deeper/,
  ],
  [
    'a list item where a key belongs',
    vs('  hosts: [a.b]\n  - http'),
    '6:3 error OUT-YAML',
    /not YAML/,
  ],
  ['an alias without anchor', vs('  hosts: *hosts'), '5:10 error OUT-YAML', /hosts/],
  [
    'a key written twice',
    vs('  hosts: [a.b]\n  http: [{redirect: {uri: /}}]\n  hosts: [c.d]'),
    '7:3 error OUT-DUPKEY',
    /"hosts" appears twice/,
  ],
]

export const types: readonly Case[] = [
  [
    'text where a list belongs',
    vs('  hosts: reviews\n  http: [{redirect: {uri: /}}]'),
    '5:10 error IST0106',
    /must be a list, is the text "reviews"/,
  ],
  [
    'a list where a map belongs',
    vs('  hosts: [a.b]\n  http: [{redirect: [1]}]'),
    '6:21 error IST0106',
    /must be a map, is a list/,
  ],
  [
    'a number where text belongs',
    rule('    name: 5'),
    '8:11 error IST0106',
    /must be text, is the number 5/,
  ],
  [
    'a boolean by an unquoted word',
    match('uri: {prefix: no}'),
    '9:21 error IST0106',
    /must be text, is the boolean no/,
  ],
  [
    'quoted text where a number belongs',
    rule('    retries: {attempts: "3"}'),
    '8:25 error IST0106',
    /must be a whole number/,
  ],
  [
    'a fraction where a whole number belongs',
    rule('    retries: {attempts: 1.5}'),
    '8:25 error IST0106',
    /must be a whole number/,
  ],
  [
    'text where a boolean belongs',
    match('{uri: {exact: /}, ignoreUriCase: "true"}'),
    '9:40 error IST0106',
    /must be true or false/,
  ],
  [
    'an empty list item',
    vs('  hosts:\n  -\n  http: [{redirect: {uri: /}}]'),
    '6:3 error IST0106',
    /list item is empty/,
  ],
  [
    'a label that is no text',
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels: {version: 1}',
    '5:21 error IST0106',
    /labels.version: must be text/,
  ],
  [
    'an annotation that is an unquoted boolean',
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n    inject: off',
    '6:13 error IST0106',
    /annotations.inject: must be text/,
  ],
]

export const unknown: readonly Case[] = [
  ['a misspelt field', rule('    timeOut: 5s'), '8:5 error IST0106', /no field "timeOut"/],
  [
    'a misspelt field deep below',
    match('{headers: {x: {exakt: a}}}'),
    '9:22 error IST0106',
    /no field "exakt"/,
  ],
  [
    'a misspelt spec',
    'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a}\nspce: {}',
    '4:1 error IST0106',
    /no field "spce"/,
  ],
  [
    'a misspelt metadata field',
    'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namspace: b}\nspec: {egress: [{hosts: ["*/*"]}]}',
    '3:21 warning OUT-FIELD',
    /no field "namspace"/,
  ],
  [
    'a misspelt kind',
    'apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: a}',
    '2:7 warning OUT-FIELD',
    /"VirtualServce" is not a kind of networking.istio.io/,
  ],
  [
    'a version that does not exist',
    'apiVersion: networking.istio.io/v2\nkind: Sidecar\nmetadata: {name: a}',
    '1:13 warning OUT-FIELD',
    /not an apiVersion of Sidecar/,
  ],
  [
    'an unknown enumeration value',
    policy('    loadBalancer: {simple: ROUND_ROBBIN}'),
    '7:28 error IST0106',
    /"ROUND_ROBBIN" is not one of/,
  ],
  [
    'an enumeration number out of range',
    policy('    loadBalancer: {simple: 9}'),
    '7:28 error IST0106',
    /9 is not one of/,
  ],
  [
    'a field of another level',
    vs('  hosts: [a.b]\n  match: []\n  http: [{redirect: {uri: /}}]'),
    '6:3 error IST0106',
    /no field "match"/,
  ],
]

export const duplicates: readonly Case[] = [
  [
    'one host twice in a list',
    vs('  hosts: [a.b, a.b]\n  http: [{redirect: {uri: /}}]'),
    '5:16 error IST0106',
    /already covered by "a.b"/,
  ],
  [
    'a host below a wildcard of the list',
    vs('  hosts: ["*.b", a.b]\n  http: [{redirect: {uri: /}}]'),
    '5:18 error IST0106',
    /already covered by "\*.b"/,
  ],
  [
    'one subset twice',
    dr('  host: reviews\n  subsets:\n  - {name: v1}\n  - {name: v1}'),
    '8:12 error IST0106',
    /"v1" is defined twice/,
  ],
  [
    'one port twice',
    se(
      '  hosts: [a.b]\n  ports: [{number: 80, name: a, protocol: HTTP}, {number: 80, name: b, protocol: HTTP}]',
    ),
    '6:59 error IST0106',
    /port 80 is listed twice/,
  ],
  [
    'two VirtualServices for one host',
    `${vs('  hosts: [x.y]\n  http: [{redirect: {uri: /}}]')}---\n${vs('  hosts: [x.y]\n  http: [{redirect: {uri: /}}]').replace('name: a', 'name: b')}`,
    '12:11 error IST0109',
    /f.yaml:1\), which wins/,
  ],
  [
    'one object twice',
    `${we('  address: 1.1.1.1')}---\n${we('  address: 2.2.2.2')}`,
    '7:1 warning OUT-DUPOBJ',
    /replaces the object of the same name in f.yaml:1/,
  ],
]

export const references: readonly Case[] = [
  [
    'a host that does not exist',
    rule(''),
    '7:28 warning IST0101',
    /no service "reviews.default.svc.cluster.local"/,
  ],
  [
    'a subset that does not exist',
    `${vs('  hosts: [a.b]\n  http:\n  - route: [{destination: {host: reviews, subset: v9}}]')}---\n${dr('  host: reviews\n  subsets: [{name: v1}]')}---\n${svc('  ports: [{name: http, port: 80}]')}`,
    '7:43 error IST0101',
    /subset "v9" is not defined by the DestinationRule of reviews.default.svc.cluster.local \(f.yaml:9\)/,
  ],
  [
    'a port that does not exist',
    `${vs('  hosts: [a.b]\n  http:\n  - route: [{destination: {host: reviews, port: {number: 81}}}]')}---\n${svc('  ports: [{name: http, port: 80}]')}`,
    '7:43 error IST0101',
    /reviews \(f.yaml:9\) has no port 81/,
  ],
  [
    'a gateway that does not exist',
    vs('  hosts: [a.b]\n  gateways: [mesh, edge]\n  http: [{redirect: {uri: /}}]'),
    '6:20 warning IST0101',
    /no Gateway default\/edge/,
  ],
  [
    'a rule that is never reached',
    vs('  hosts: [a.b]\n  http:\n  - redirect: {uri: /x}\n  - redirect: {uri: /y}'),
    '8:5 warning IST0130',
    /http\[0\] \(line 7\) already takes everything/,
  ],
]
