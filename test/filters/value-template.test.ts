import { hostname } from 'node:os'
import t from 'tap'
import { headerOperators, headerTemplate } from '../../config/schema/header-operators.ts'
import { compileTimeFormat } from '../../proxy/filters/time-format.ts'
import {
  supportedOperators,
  unsupportedOperators,
  ValueTemplate,
} from '../../proxy/filters/value-template.ts'
import { factsOf } from './support.ts'

t.test('operators become what they name', async (t) => {
  const facts = factsOf({
    request: [
      ['x-user', 'jason'],
      ['x-empty', ''],
    ],
    response: [['x-reply', 'r']],
  })
  const cases: ReadonlyArray<readonly [value: string, text: string]> = [
    ['plain', 'plain'],
    ['100%% sure', '100% sure'],
    ['%REQ(X-User)%', 'jason'],
    ['a-%REQ(x-user)%-b', 'a-jason-b'],
    ['%REQ(x-none?x-user)%', 'jason'],
    ['%REQ(x-empty?x-user)%', 'jason'],
    ['%REQ(x-user):3%', 'jas'],
    ['%REQ(x-none)%', ''],
    ['%REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)%', 'GET reviews:9080/a?b'],
    ['%REQ(:SCHEME)%', 'http'],
    ['%RESP(x-reply)%', 'r'],
    ['%DOWNSTREAM_REMOTE_ADDRESS%', '10.0.0.7:40000'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.7'],
    ['%DOWNSTREAM_LOCAL_ADDRESS%', '[fd00::1]:9080'],
    ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%', 'fd00::1'],
    ['%PROTOCOL%', 'HTTP/1.1'],
    ['%START_TIME%', '2026-01-31T01:43:13.123Z'],
    ['%START_TIME(%Y/%m/%d %H:%M:%S.%3f)%', '2026/01/31 01:43:13.123'],
    ['%UPSTREAM_HOST%', '10.0.0.9:9080'],
    ['%HOSTNAME%', hostname()],
    ['%RESPONSE_CODE%', '503'],
    ['%REQUESTED_SERVER_NAME%', 'sni'],
    ['%REQUEST_HEADER(x-user)%%RESPONSE_HEADER(x-reply)%%RESP(:STATUS)%', 'jasonr503'],
    ['%DOWNSTREAM_REMOTE_PORT%', '40000'],
    ['%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.7'],
    ['%ROUTE_NAME%|%UPSTREAM_CLUSTER%', 'all|outbound|80||a'],
    ['%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%', 'via_upstream UF'],
    ['%UPSTREAM_REMOTE_PORT%', '9080'],
    ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', '2'],
    ['%PATH(NQ)%', '/a'],
    ['%ENVIRONMENT(NO_SUCH_NAME)%', ''],
    ['%DURATION%', ''],
  ]
  for (const [value, text] of cases) t.equal(new ValueTemplate(value).render(facts), text, value)
  const unflagged = Object.assign(factsOf({}), { flags: 0 })
  t.equal(new ValueTemplate('%RESPONSE_FLAGS%').render(unflagged), '-', 'no flags are a value too')
})

t.test('the scheme is what x-forwarded-proto says, if that is one', async (t) => {
  const scheme = new ValueTemplate('%REQ(:SCHEME)%')
  for (const [said, seen] of [
    ['https', 'https'],
    ['HTTPS', 'https'],
    ['gopher', 'http'],
    ['https,http', 'http'],
  ] as const)
    t.equal(scheme.render(factsOf({ request: [['x-forwarded-proto', said]] })), seen, said)
})

t.test('behind a rewrite path and authority are those it made', async (t) => {
  const facts = Object.assign(factsOf({}), { sentPath: '/new?b', sentAuthority: 'other' })
  t.equal(new ValueTemplate('%REQ(:PATH)% %REQ(:AUTHORITY)%').render(facts), '/new?b other')
})

t.test('literal text goes out as its UTF-8 bytes', async (t) => {
  const wire = Buffer.from('café').toString('latin1')
  t.equal(new ValueTemplate('café').render(factsOf({})), wire)
  t.equal(new ValueTemplate('café%PROTOCOL%').render(factsOf({})), `${wire}HTTP/1.1`)
})

t.test('what is not carried out is named', async (t) => {
  t.same(unsupportedOperators('x %REQ(a)% %% %START_TIME%'), [])
  t.same(unsupportedOperators('%DYNAMIC_METADATA(a:b)%-%UPSTREAM_PEER_SUBJECT%'), [
    'DYNAMIC_METADATA',
    'UPSTREAM_PEER_SUBJECT',
  ])
  t.same(unsupportedOperators('%START_TIME(%Y %Q)%'), ['START_TIME(%Q)'])
  const argument = (name: string) =>
    /^(REQ|RESP|ENV|\w+_HEADER$)/.test(name) && !/_(CODE|FLAGS|BYTES)|SERVER/.test(name)
      ? '(x)'
      : ''
  for (const name of supportedOperators)
    t.same(unsupportedOperators(`%${name}${argument(name)}%`), [], name)
  const unique = new ValueTemplate('%UNIQUE_ID%')
  t.not(unique.render(factsOf({})), unique.render(factsOf({})))
  t.equal(new ValueTemplate('%DYNAMIC_METADATA(a:b)%').render(factsOf({})), '')
})

t.test('times are written as strftime would, in UTC', async (t) => {
  const ms = Date.UTC(2026, 1, 3, 4, 5, 6, 7)
  const cases: ReadonlyArray<readonly [format: string, text: string]> = [
    ['%FT%TZ', '2026-02-03T04:05:06Z'],
    ['%s.%3f %6f %f', `${ms / 1000 - 0.007}.007 007000 007000000`],
    ['%a %A %b %B %e %y %z %Z %%', 'Tue Tuesday Feb February  3 26 +0000 UTC %'],
    ['%Q', '%Q'],
  ]
  for (const [format, text] of cases) t.equal(compileTimeFormat(format)(ms), text, format)
})

t.test('the configuration knows the same operators, and warns about others', async (t) => {
  t.same(headerOperators, supportedOperators)
  t.equal(headerTemplate('%REQ(a)%%% %START_TIME(%Y)%'), undefined)
  t.match(headerTemplate('%DYNAMIC_METADATA(a:b)%'), {
    warning: true,
    message: /has no value here/,
  })
  t.match(headerTemplate('%DURATION%'), { warning: true }, 'known only when all is over')
  t.match(headerTemplate('%REQ()%'), { warning: true, message: /names no field/ })
  t.match(headerTemplate('%RESPONS_CODE%'), {
    warning: true,
    message: /there is no operator %RESPONS_CODE%/,
    hint: /Did you mean "RESPONSE_CODE"/,
  })
  const limited = headerTemplate('%REQ(X):3%') as { message: string; warning?: true }
  t.match(limited.message, /limits a length/, 'fact 31')
  t.equal(limited.warning, undefined, 'an error')
  t.type(headerTemplate('%REQ(a'), 'object', 'what is no template stays an error')
})
