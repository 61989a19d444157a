import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { ConnectionRecord, ExchangeRecord, Flag } from '../../proxy/telemetry/exchange-record.ts'
import { istioLine } from '../../proxy/telemetry/istio-line.ts'
import { compileJson, compileText } from '../../proxy/telemetry/log-format.ts'
import { startTime, strftime } from '../../proxy/telemetry/log-time.ts'
import { operatorNames } from '../../proxy/telemetry/log-values.ts'

const started = Date.UTC(2026, 2, 1, 12, 0, 5, 7)
const local = { address: '10.96.0.8', port: 9080 }
const remote = { address: '10.0.0.1', port: 40_000 }

function exchange(): ExchangeRecord {
  const record = new ExchangeRecord('outbound', started, 0, local, remote)
  record.method = 'GET'
  record.path = '/reviews/1?x=1'
  record.authority = 'reviews:9080'
  record.status = 200
  record.details = 'via_upstream'
  record.requestBytes = 0
  record.responseBytes = 358
  record.duration = 12.9
  record.serviceTime = 11.2
  record.userAgent = 'curl/8.5'
  record.requestId = '7a0c'
  record.upstreamHost = '10.0.0.7:9080'
  record.upstreamLocal = '10.0.0.1:51234'
  record.cluster = 'outbound|9080||reviews.default.svc.cluster.local'
  record.routeName = 'default'
  record.attempts = 1
  record.configVersion = 'ab12'
  record.origin = {
    kind: 'VirtualService',
    namespace: 'default',
    name: 'reviews',
    file: 'vs.yaml',
    line: 12,
  }
  const { origin } = record
  record.faults = ['delay', 'refuse'].map((kind) => ({ kind, origin: origin! }))
  return record
}

function connection(): ConnectionRecord {
  const record = new ConnectionRecord('outbound', started, 0, local, remote)
  record.receivedBytes = 12
  record.sentBytes = 34
  record.duration = 5
  record.upstreamHost = '10.0.0.9:9000'
  record.cluster = 'outbound|9000||tcp-echo.default.svc.cluster.local'
  return record
}

t.test('the default text is exactly Istio line', async (t) => {
  const { line, problems } = compileText('')
  t.same(problems, [])
  t.equal(
    line(exchange()),
    '[2026-03-01T12:00:05.007Z] "GET /reviews/1?x=1 HTTP/1.1" 200 - via_upstream - "-" 0 358 12 11 ' +
      '"-" "curl/8.5" "7a0c" "reviews:9080" "10.0.0.7:9080" ' +
      'outbound|9080||reviews.default.svc.cluster.local 10.0.0.1:51234 10.96.0.8:9080 ' +
      '10.0.0.1:40000 - default\n',
  )
})

t.test('the path behind a rewrite and the original one have names of their own', async (t) => {
  const record = exchange()
  const both = compileText('%REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%')
  t.equal(both.line(record), '/reviews/1?x=1 /reviews/1?x=1\n')
  record.sentPath = '/new'
  t.equal(both.line(record), '/new /reviews/1?x=1\n')
})

t.test('a TCP connection has the same fields, missing where HTTP alone has them', async (t) => {
  t.equal(
    compileText('').line(connection()),
    '[2026-03-01T12:00:05.007Z] "- - -" 0 - - - "-" 12 34 5 - "-" "-" "-" "-" "10.0.0.9:9000" ' +
      'outbound|9000||tcp-echo.default.svc.cluster.local - 10.96.0.8:9080 10.0.0.1:40000 - -\n',
  )
})

t.test('a failed exchange shows flags, details and the reason', async (t) => {
  const record = exchange()
  record.status = 503
  record.flags = Flag.UF | Flag.URX
  record.details = 'upstream_reset_before_response_started{connection failure}'
  record.upstreamFailure = 'cannot connect to 10.0.0.7:9080: "ECONNREFUSED"'
  record.serviceTime = -1
  t.match(
    compileText('').line(record),
    '503 UF,URX upstream_reset_before_response_started{connection_failure} - ' +
      '"cannot connect to 10.0.0.7:9080: \\"ECONNREFUSED\\"" 0 358 12 - ',
  )
})

t.test('what a client sends cannot forge a line', async (t) => {
  const record = exchange()
  record.userAgent = 'x" "y\n[2026] "GET /forged\x1b[0m\\'
  const line = compileText('%REQ(USER-AGENT)%').line(record)
  t.equal(line, 'x\\" \\"y\\x0a[2026] \\"GET /forged\\x1b[0m\\\\\n')
  const json = compileJson('').line(record)
  t.equal(json.split('\n').length, 2)
  t.equal(JSON.parse(json).user_agent, record.userAgent)
})

t.test('the default JSON has Istio fields, typed, then ours', async (t) => {
  const fields = JSON.parse(compileJson('').line(exchange()))
  t.same(fields, {
    start_time: '2026-03-01T12:00:05.007Z',
    route_name: 'default',
    method: 'GET',
    path: '/reviews/1?x=1',
    protocol: 'HTTP/1.1',
    response_code: 200,
    response_flags: '-',
    response_code_details: 'via_upstream',
    connection_termination_details: null,
    upstream_transport_failure_reason: null,
    bytes_received: 0,
    bytes_sent: 358,
    duration: 12,
    upstream_service_time: '11',
    x_forwarded_for: null,
    user_agent: 'curl/8.5',
    request_id: '7a0c',
    authority: 'reviews:9080',
    upstream_host: '10.0.0.7:9080',
    upstream_cluster: 'outbound|9080||reviews.default.svc.cluster.local',
    upstream_local_address: '10.0.0.1:51234',
    downstream_local_address: '10.96.0.8:9080',
    downstream_remote_address: '10.0.0.1:40000',
    requested_server_name: null,
    origin: 'VirtualService/reviews.default@vs.yaml:12',
    config_version: 'ab12',
  })
  t.match(JSON.parse(compileJson('').line(connection())), {
    response_code: 0,
    method: null,
    bytes_received: 12,
    bytes_sent: 34,
  })
})

t.test('a JSON format of one own keeps types, joins texts and nests', async (t) => {
  const { line, problems } = compileJson(
    '{"code":"%RESPONSE_CODE%","text":"%RESPONSE_CODE% %REQ(X-NONE)%","in":{"n":1,"list":["%DURATION%",true,null]}}',
  )
  t.same(problems, [])
  t.same(JSON.parse(line(exchange())), {
    code: 200,
    text: '200 -',
    in: { n: 1, list: [12, true, null] },
  })
})

t.test('a JSON format that is none is reported and replaced by the default', async (t) => {
  for (const format of ['{nonsense', '["a"]', '12']) {
    const { line, problems } = compileJson(format)
    t.equal(problems.length, 1, format)
    t.equal(JSON.parse(line(exchange())).response_code, 200)
  }
})

t.test('operators of custom formats', async (t) => {
  const record = exchange()
  record.requestHeaders = new Headers()
  record.requestHeaders.append('X-Team', 'blue')
  record.responseHeaders = new Headers()
  record.responseHeaders.append('Server', 'nginx')
  process.env['POD_NAME'] = 'web-1'
  const cases: Array<[format: string, text: string]> = [
    ['%REQ(X-TEAM)%', 'blue'],
    ['%REQUEST_HEADER(x-none?X-Team)%', 'blue'],
    ['%REQ(X-TEAM):2%', 'bl'],
    ['%RESP(server)%', 'nginx'],
    ['%RESP(:STATUS)%', '200'],
    ['%REQ(X-REQUEST-ID?X-TEAM)%', '7a0c'],
    ['%PATH(NQ)%', '/reviews/1'],
    ['%PATH%', '/reviews/1?x=1'],
    ['%UPSTREAM_LOCAL_PORT%', '51234'],
    ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.7'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.1'],
    ['%DOWNSTREAM_LOCAL_PORT%', '9080'],
    ['%START_TIME(%Y/%m/%d %H:%M:%S.%3f)%', '2026/03/01 12:00:05.007'],
    ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', '1'],
    ['%GRPC_STATUS%', '-'],
    ['%OUTRIDER_ORIGIN%', 'VirtualService/reviews.default@vs.yaml:12'],
    [
      '%OUTRIDER_FAULTS%',
      'delay VirtualService/reviews.default@vs.yaml:12,refuse VirtualService/reviews.default@vs.yaml:12',
    ],
    ['%CONFIG_VERSION%', 'ab12'],
    ['%ENVIRONMENT(POD_NAME)%', 'web-1'],
    ['100%% of %RESPONSE_CODE%', '100% of 200'],
    ['100%%SURE', '100%SURE'],
    ['no operator', 'no operator'],
  ]
  for (const [format, text] of cases) {
    const { line, problems } = compileText(format)
    t.equal(line(record), `${text}\n`, format)
    t.same(problems, [], format)
  }
})

t.test('what is not supported is reported, and written as -', async (t) => {
  const { line, problems } = compileText(
    '%RESPONSE_CODE% %NOT_THERE% %REQ% %PATH(XX)% %TRAILER(a)%',
  )
  t.equal(line(exchange()), '200 - - - -\n')
  t.equal(problems.length, 4)
  t.match(problems[0], '%NOT_THERE%')
  t.equal(compileText('%RESPONSE_CODE').problems.length, 1)
})

t.test('every operator works on every record', async (t) => {
  for (const name of operatorNames()) {
    const argument = /REQ|RESP(ONSE_HEADER)?$/.test(name) || name === 'ENVIRONMENT' ? '(X)' : ''
    const { line, problems } = compileText(`%${name}${argument}%`)
    if (/^(REQ|RESP|REQUEST_HEADER|RESPONSE_HEADER|ENVIRONMENT)$/.test(name) === false)
      t.same(problems, [], name)
    t.type(line(exchange()), 'string')
    t.type(line(connection()), 'string')
  }
})

t.test('times are written to the millisecond', async (t) => {
  t.equal(startTime(started), new Date(started).toISOString())
  t.equal(startTime(started + 999.7), new Date(started + 999).toISOString())
  t.equal(startTime(0), '1970-01-01T00:00:00.000Z')
  t.equal(
    strftime('%F %T %b %a %e %z %s %%', started),
    '2026-03-01 12:00:05 Mar Sun  1 +0000 1772366405 %',
  )
  t.equal(strftime('%s.%6f %Q', started), '1772366405.007000 %Q')
})

t.test('the line written out is the compiled one, on random records', async (t) => {
  const random = new Random(11)
  const { line } = compileText('')
  const texts = ['', 'plain', 'a b', 'q"uote', 'back\\slash', 'tab\t', 'é€', 'x'.repeat(300), ':']
  const any = () => texts[random.below(texts.length)]!
  const hosts = ['10.0.0.1', 'fd00::7', '255.255.255.255', '/run/app.sock', '@app', '::1', '']
  const address = () => ({
    address: hosts[random.below(hosts.length)]!,
    port: random.below(65_536),
  })
  const wrong: string[][] = []
  for (let i = 0; i < 5_000; i++) {
    const record = new ExchangeRecord('inbound', started + i * 37, 0, address(), address())
    for (const field of [
      'method',
      'path',
      'authority',
      'details',
      'terminationDetails',
      'upstreamFailure',
      'forwardedFor',
      'userAgent',
      'requestId',
      'upstreamHost',
      'upstreamLocal',
      'cluster',
      'routeName',
      'serverName',
    ] as const)
      record[field] = any()
    record.requestHeaders = new Headers()
    if (random.below(2) === 0) record.requestHeaders.append('User-Agent', any())
    if (random.below(2) === 0) record.requestHeaders.append('x-forwarded-for', any())
    if (random.below(2) === 0) record.requestHeaders.append('X-Request-Id', any())
    record.version = [10, 11, 20][random.below(3)]!
    record.status = [0, 200, 503][random.below(3)]!
    record.flags = random.below(4) === 0 ? random.below(1 << 20) : 0
    record.requestBytes = random.below(1_000_000)
    record.responseBytes = random.below(5)
    record.duration = random.fraction() * 10_000
    record.serviceTime = random.below(3) === 0 ? -1 : random.fraction() * 100
    if (istioLine(record) !== line(record)) wrong.push([istioLine(record), line(record)])
  }
  t.same(wrong, [], '5,000 lines')
})

t.test(
  'what is kept from former lines never stands in a line where it does not belong',
  async (t) => {
    const random = new Random(12)
    const { line } = compileText('')
    // Ports that share a slot, and few values each, so that all parts are met again and change in turn.
    const places = ['10.0.0.1', 'fd00::7', '10.0.0.1'].flatMap((address) =>
      [80, 80 + 1024, 81].map((port) => ({ address, port })),
    )
    const place = () => places[random.below(places.length)]!
    const either = (...values: string[]) => values[random.below(values.length)]!
    const wrong: string[][] = []
    for (let i = 0; i < 20_000; i++) {
      const record = new ExchangeRecord('outbound', started + (i >> 3), 0, place(), place())
      record.method = either('GET', 'PUT')
      record.path = either('', '/a', '/"é')
      record.authority = either('a', 'b', '')
      record.details = either('via_upstream', 'direct response')
      record.forwardedFor = either('', '10.1.1.1')
      record.userAgent = either('', 'curl', 'w\\get')
      record.requestId = either('', 'one', 'two')
      record.upstreamHost = either('', '10.0.0.7:80')
      record.upstreamLocal = either('', '10.0.0.1:4000')
      record.cluster = either('c', 'd')
      record.routeName = either('', 'r', '€')
      record.serverName = either('', 'n')
      record.status = random.below(2) === 0 ? 200 : 503
      record.requestBytes = random.below(2)
      record.responseBytes = random.below(2)
      record.duration = random.fraction() * 40 - 1
      record.serviceTime = random.fraction() * 40 - 2
      const [written, compiled] = [istioLine(record), line(record)]
      if (written !== compiled) wrong.push([written, compiled])
    }
    t.same(wrong, [], '20,000 lines')
  },
)
