import t from 'tap'
import { istio, pod, service, type View, viewOf } from './compile-support.ts'

const me = { addresses: ['10.1.0.1'], labels: { app: 'a' } }
const told = (view: View) =>
  view.snapshot.inbound.ports.map(
    ({ port, protocol, service: host, servicePort, target }) =>
      `${port} ${protocol} ${host.split('.', 1)[0]}:${servicePort} -> ${target.address}:${target.port}`,
  )

t.test('a workload serves the services of which it is an endpoint', async (t) => {
  const view = viewOf(
    service('a', { ports: ['http:80:8080', 'tcp:90'] }) +
      service('b', { ports: ['http:80'] }) +
      pod('a-1', '10.1.0.1', { app: 'a' }),
    me,
  )
  t.same(told(view), ['90 tcp a:90 -> original:90', '8080 http a:80 -> original:8080'])
  t.match(view.snapshot.inbound, {
    mode: 'PASSTHROUGH',
    ports: [
      { cluster: 'inbound|90||' },
      { cluster: 'inbound|8080||', origin: { kind: 'Service' } },
    ],
  })
})

t.test('without a Pod in the files the labels decide', async (t) => {
  const mesh = service('a', { ports: ['http:80:8080'] })
  t.same(told(viewOf(mesh, { ...me, addresses: [] })), ['8080 http a:80 -> original:8080'])
  t.same(told(viewOf(mesh, me)), ['8080 http a:80 -> original:8080'])
  t.same(told(viewOf(mesh, { ...me, labels: {} })), [])
  t.same(
    told(viewOf(mesh, { ...me, namespace: 'prod' })),
    [],
    'in the namespace of the Service only',
  )
})

t.test('a named targetPort is that of the own Pod', async (t) => {
  const spec = { containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 8123 }] }] }
  const mesh = service('a', { ports: ['http:80:web'] })
  t.same(told(viewOf(mesh + pod('a-1', '10.1.0.1', { app: 'a' }, { spec }), me)), [
    '8123 http a:80 -> original:8123',
  ])
  t.same(told(viewOf(mesh, me)), [], 'unknown without it')
})

t.test('one workload port with two services: the oldest decides (§14.5)', async (t) => {
  const selecting = { more: { selector: { app: 'a' } } }
  const view = viewOf(
    service('x', { ports: ['tcp:80:8080'], ...selecting, created: '2026-01-02T00:00:00Z' }) +
      service('y', { ports: ['http:81:8080'], ...selecting, created: '2026-01-01T00:00:00Z' }),
    me,
  )
  t.same(told(view), ['8080 http y:81 -> original:8080'])
})

t.test('a ServiceEntry that lists or selects the workload counts too', async (t) => {
  const entry = (more: object) =>
    istio('ServiceEntry', 'e', {
      hosts: ['e.com'],
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'h', protocol: 'HTTP', targetPort: 8080 }],
      ...more,
    })
  t.same(told(viewOf(entry({ endpoints: [{ address: '10.1.0.1' }] }), me)), [
    '8080 http e:80 -> original:8080',
  ])
  t.same(told(viewOf(entry({ workloadSelector: { labels: { app: 'a' } } }), me)), [
    '8080 http e:80 -> original:8080',
  ])
  t.same(told(viewOf(entry({ endpoints: [{ address: '10.1.0.2' }] }), me)), [])
})

t.test('MeshConfig can send inbound traffic to loopback', async (t) => {
  const view = viewOf(
    `kind: MeshConfig\ninboundTrafficPolicy: {mode: LOCALHOST}\n---\n${service('a', { ports: ['http:80'] })}`,
    me,
  )
  t.same(told(view), ['80 http a:80 -> 127.0.0.1:80'])
  t.equal(view.snapshot.inbound.mode, 'LOCALHOST')
})

t.test('a Sidecar that lists ports has only these (§23 #51)', async (t) => {
  const listen = (number: number, defaultEndpoint: string, protocol = 'HTTP') => ({
    port: { number, protocol, name: `p${number}` },
    ...(defaultEndpoint === '' ? {} : { defaultEndpoint }),
  })
  const view = viewOf(
    service('a', { ports: ['http:80:8080', 'tcp:90'] }) +
      istio('Sidecar', 's', {
        ingress: [
          listen(8080, '127.0.0.1:9999'),
          listen(1, '0.0.0.0:2', ''),
          listen(2, '[::1]:3', 'TCP'),
          listen(3, '[::]:4'),
          listen(4, ':5'),
          listen(5, 'unix:///run/app.sock'),
          listen(6, ''),
        ],
      }),
    me,
  )
  t.same(told(view), [
    '1 auto :1 -> original:2',
    '2 tcp :2 -> ::1:3',
    '3 http :3 -> original:4',
    '4 http :4 -> original:5',
    '5 http :5 -> unix:///run/app.sock:0',
    '6 http :6 -> original:6',
    '8080 http a:80 -> 127.0.0.1:9999',
  ])
  t.match(view.snapshot.inbound.ports[0]?.origin, { kind: 'Sidecar' })
})

t.test('what the workload itself serves does not depend on what it imports', async (t) => {
  const view = viewOf(
    service('a', { ports: ['http:80'], annotations: { 'networking.istio.io/exportTo': 'other' } }) +
      istio('Sidecar', 's', { egress: [{ hosts: ['prod/*'] }] }),
    me,
  )
  t.same(told(view), ['80 http a:80 -> original:80'])
})
