import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { Problem } from '../../config/resource.ts'
import { endpointKey, OutlierCell } from '../../proxy/base/outlier-cells.ts'
import { clusterSpec, outlierSpec } from '../upstream/fakes.ts'
import { startSidecar } from './sidecar-support.ts'
import { endpoint, snapshotOf } from './support.ts'

const problem: Problem = {
  severity: 'error',
  code: 'IST0101',
  file: 'routes.yaml',
  line: 12,
  column: 7,
  message: 'no Service is called "revews"',
  hint: 'Did you mean "reviews"?',
  object: 'VirtualService default/reviews',
}

/** One request by hand: fetch neither lets Host be set nor sends a browser's Origin. */
async function raw(port: number | undefined, head: string): Promise<string> {
  const socket = connect({ port: port ?? 0, host: '127.0.0.1' })
  socket.end(`${head}\r\nConnection: close\r\n\r\n`)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString()
  })
  await once(socket, 'close')
  return text
}

t.test('the first page lists all others', async (t) => {
  await using proxy = await startSidecar()
  const { body } = await proxy.get('/')
  for (const page of [
    '/ready',
    '/config',
    '/problems',
    '/clusters',
    '/stats',
    '/metrics',
    '/drain',
  ])
    t.match(body, new RegExp(`^ +${page} +\\w`, 'm'))
  t.match(await proxy.get('/nothing'), { status: 404, body: /there is no page \/nothing/ })
})

t.test('what changes something is refused by GET', async (t) => {
  await using proxy = await startSidecar()
  for (const page of ['/drain', '/quitquitquit', '/logging?level=debug']) {
    const reply = await proxy.get(page)
    t.match(reply, { status: 405, body: 'Method GET not allowed, POST required.\n' }, page)
  }
  t.same(proxy.exits, [])
  t.match(await proxy.get('/config', { method: 'DELETE' }), { status: 405 })
})

t.test('ready names the version asked for, the problems and the kept objects', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  t.match(await proxy.get('/ready'), { status: 200, body: 'LIVE\nversion v1\ngeneration 1\n' })
  t.match(await proxy.get('/ready?version=v1'), { status: 200 })
  t.match(await proxy.get('/ready?version=v9'), {
    status: 503,
    body: /waiting: version v1 is in force/,
  })
  proxy.files.problems.push(problem)
  proxy.files.quarantined.push('VirtualService default/reviews')
  await proxy.touch()
  const { status, body } = await proxy.get('/ready')
  t.equal(status, 200, 'a bad file takes nothing out of service')
  t.match(body, /1 errors in the configuration/)
  t.match(body, /kept at their last good version: VirtualService default\/reviews/)
  t.match(JSON.parse((await proxy.get('/ready?format=json')).body), { state: 'LIVE', errors: 1 })
})

t.test('problems are told as lines editors jump to, and as JSON', async (t) => {
  await using proxy = await startSidecar()
  t.match(await proxy.get('/problems'), { body: 'no problems\n' })
  proxy.files.problems.push(problem)
  await proxy.touch()
  const { body } = await proxy.get('/problems')
  t.match(body, 'routes.yaml:12:7: error: VirtualService default/reviews: no Service')
  t.match(body, 'Did you mean "reviews"?')
  t.match(JSON.parse((await proxy.get('/problems?format=json')).body), { problems: [{ line: 12 }] })
})

t.test('config shows the snapshot with its maps and origins', async (t) => {
  const origin = { kind: 'Service', namespace: 'default', name: 'web', file: 'web.yaml', line: 3 }
  const snapshot = snapshotOf('v1', { web: [] })
  const forward = {
    kind: 'forward',
    destinations: [{ cluster: 'outbound|80||web', weight: 1, origin }],
  }
  const route = { name: 'default', path: '', origin, match: undefined, action: forward }
  const host = { name: 'web:80', domains: ['web'], routes: [route], skipped: [], origin }
  const http = { name: '80', virtualHosts: [host] }
  const listener = { addresses: [], port: 80, protocol: 'http', http, tls: [], tcp: [], origin }
  // The pages read no more of a listener than this.
  const outbound = {
    ...snapshot.outbound,
    listeners: [listener],
  } as unknown as typeof snapshot.outbound
  await using proxy = await startSidecar({}, '', { ...snapshot, outbound })
  const value = JSON.parse((await proxy.get('/config')).body)
  t.match(value, { generation: 1, snapshot: { version: 'v1', endpointSets: { web: [] } } })
  t.equal(value.snapshot.outbound.listeners[0].origin.line, 3)
  const { body } = await proxy.get('/config?format=text')
  t.match(body, 'outbound *:80 http  [Service web.yaml:3]')
  t.match(body, '    any -> outbound|80||web  [Service web.yaml:3]')
})

t.test('stats add up the gauges of all workers', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  t.match(await proxy.get('/stats'), { status: 200, body: /^workers: 2\n/ })
  t.match(JSON.parse((await proxy.get('/stats?format=json&filter=conn')).body), { connections: 0 })
  t.match((await proxy.get('/stats?filter=outrider_workers')).body, 'outrider_workers: 2\n')
})

t.test('metrics tell of the process, its workers and its configuration', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  proxy.files.problems.push(problem)
  await proxy.touch()
  const { body } = await proxy.get('/metrics')
  for (const line of [
    'istio_build{component="proxy",tag="0.0.0-test"} 1',
    'outrider_config_info{version="v1"} 1',
    'outrider_config_generation 1',
    'outrider_config_reloads_total{result="published"} 1',
    'outrider_config_reloads_total{result="unchanged"} 1',
    'outrider_config_problems{severity="error"} 1',
    'outrider_workers 2',
    'outrider_worker_restarts_total 0',
  ])
    t.match(body, line)
  t.match(body, /^process_resident_memory_bytes \d{7,}$/m)
  t.equal((await proxy.get('/stats/prometheus', {}, proxy.ports.metrics)).status, 200)
})

t.test('the log level is shown, changed everywhere, and must exist', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  t.match(await proxy.get('/logging'), { body: 'level: debug\n' })
  t.match(await proxy.get('/logging?level=warn', { method: 'POST' }), { body: 'level: warn\n' })
  t.equal(proxy.log.level, 'warn')
  t.match(await proxy.get('/logging?level=loud', { method: 'POST' }), {
    status: 400,
    body: /"loud" is no level/,
  })
  const heard = await proxy.sidecar.supervisor.query('clusters')
  t.ok((heard.get(1) as string[]).includes('level:warn'), 'the stand-in worker heard of it')
})

t.test('server_info tells version, ports and workers', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  const info = JSON.parse((await proxy.get('/server_info')).body)
  t.match(info, {
    version: '0.0.0-test',
    state: 'LIVE',
    configVersion: 'v1',
    ports: { outbound: proxy.ports.outbound },
    workers: [{ id: 0, version: 'v1', restarts: 0 }, { id: 1 }],
  })
})

t.test('a page in a browser cannot reach it by a foreign name or site', async (t) => {
  await using proxy = await startSidecar()
  const port = proxy.ports.admin
  t.match(await raw(port, 'GET /config HTTP/1.1\r\nHost: evil.example'), /^HTTP\/1\.1 403/)
  const csrf = `POST /quitquitquit HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://evil.example`
  t.match(await raw(port, csrf), /^HTTP\/1\.1 403[\s\S]*evil\.example may not/)
  t.same(proxy.exits, [])
  for (const host of [
    'localhost',
    'admin.localhost:15000',
    '[::1]:15000',
    '10.0.0.7',
    '127.0.0.1:1',
  ])
    t.match(await raw(port, `GET /ready HTTP/1.1\r\nHost: ${host}`), /^HTTP\/1\.1 (200|503)/, host)
})

t.test('/outliers tells who is ejected and why, and metrics count it', async (t) => {
  const cluster = clusterSpec({
    name: 'web',
    endpointSet: 'web',
    hash: 'one',
    outlierDetection: outlierSpec({ maxEjectionPercent: 50 }),
    outlierOrigin: { kind: 'DestinationRule', namespace: 'a', name: 'r', file: 'r.yaml', line: 7 },
  })
  const sets = { web: [endpoint('10.0.0.1'), endpoint('10.0.0.2')] }
  const snapshot = { ...snapshotOf('v1', sets), clusters: new Map([['web', cluster]]) }
  await using proxy = await startSidecar({}, '', snapshot)
  t.equal((await proxy.get('/outliers')).body, 'no endpoint is ejected\n')
  const { sharing } = proxy.sidecar.supervisor
  sharing.receive(0, { kind: 'watch', cluster: 'web', hash: 'one' })
  const bad = endpointKey({ address: '10.0.0.1', port: 80 })
  const { FiveHundreds } = OutlierCell
  sharing.receive(0, {
    kind: 'outlier',
    cluster: 'web',
    hash: 'one',
    endpoint: bad,
    what: FiveHundreds,
  })
  const { body } = await proxy.get('/outliers')
  t.match(
    body,
    /^ejected now:\nweb 10\.0\.0\.1:80: 5 errors in a row .*DestinationRule a\/r \(r\.yaml:7\)/,
  )
  t.match(body, /newest first:\n.* web: 10\.0\.0\.1:80 is ejected for 30 s: .*left: 10\.0\.0\.2:80/)
  const json = JSON.parse((await proxy.get('/outliers?format=json')).body)
  t.match(json, { ejected: [{ cluster: 'web' }], journal: [{ action: 'ejected' }] })
  const metrics = await proxy.get('/metrics')
  t.match(metrics.body, /outrider_outlier_ejections_active\{cluster_name="web"\} 1/)
  t.match(
    metrics.body,
    /outrider_outlier_ejections_total\{cluster_name="web",reason="consecutive_5xx"\} 1/,
  )
})
