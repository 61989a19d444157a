import t from 'tap'
import {
  bySpecificity,
  canonicalAddress,
  canonicalPrefix,
  isExported,
  otherNames,
  resolveHost,
} from '../../config/compile-names.ts'
import { declaredProtocol, serviceProtocol } from '../../config/compile-ports.ts'

t.test('only a host without dot is completed (§23 #9, fact 15)', async (t) => {
  const cases: Array<[string, string]> = [
    ['reviews', 'reviews.prod.svc.cluster.local'],
    ['reviews.test', 'reviews.test'],
    ['reviews.test.svc.cluster.local', 'reviews.test.svc.cluster.local'],
    ['*', '*'],
    ['*foo', '*foo'],
    ['10.0.0.1', '10.0.0.1'],
    ['::1', '::1'],
  ]
  for (const [host, expected] of cases)
    t.equal(resolveHost(host, 'prod', 'cluster.local'), expected)
})

t.test('exact hosts come before wildcards, longer wildcards before shorter ones', async (t) => {
  const hosts = ['*', '*.b.com', 'z.com', '*.a.b.com', 'a.b.c.d.com', '*.c.com']
  t.same(hosts.sort(bySpecificity), [
    'a.b.c.d.com',
    'z.com',
    '*.a.b.com',
    '*.b.com',
    '*.c.com',
    '*',
  ])
})

t.test('other names of a host', async (t) => {
  t.same(otherNames('a.prod.svc.cluster.local', 'prod', 'cluster.local'), [
    'a.prod.svc.cluster.local.',
    'a',
    'a.prod',
    'a.prod.svc',
  ])
  t.same(otherNames('a.prod.svc.cluster.local', 'test', 'cluster.local'), [
    'a.prod.svc.cluster.local.',
    'a.prod',
    'a.prod.svc',
  ])
  t.same(otherNames('a.prod.svc.mesh.test', 'prod', 'cluster.local'), ['a.prod.svc.mesh.test.'])
  t.same(otherNames('api.example.com', 'prod', 'cluster.local'), ['api.example.com.'])
})

t.test('exportTo', async (t) => {
  t.ok(isExported(['*'], 'a', 'b'))
  t.ok(isExported(['.'], 'a', 'a'))
  t.notOk(isExported(['.'], 'a', 'b'))
  t.ok(isExported(['c', 'b'], 'a', 'b'))
  t.notOk(isExported(['~'], 'a', 'a'))
})

t.test('addresses have one spelling', async (t) => {
  t.equal(canonicalAddress('10.0.0.1'), '10.0.0.1')
  t.equal(canonicalAddress('::ffff:10.0.0.1'), '10.0.0.1')
  t.equal(canonicalAddress('::FFFF:0a00:0001'), '10.0.0.1')
  t.equal(canonicalAddress('2001:DB8:0:0::1'), '2001:db8::1')
  t.equal(canonicalAddress('fe80::1%eth0'), 'fe80::1')
  t.equal(canonicalAddress('db.example.com'), 'db.example.com')
  t.equal(canonicalPrefix('10.0.0.1/32'), '10.0.0.1')
  t.equal(canonicalPrefix('2001:db8:0::/128'), '2001:db8::')
  t.equal(canonicalPrefix('10.0.0.0/8'), '10.0.0.0/8')
})

t.test('protocol of a Service port (§14.2)', async (t) => {
  const cases: Array<
    [name: string, port: number, app: string | undefined, expected: string | undefined]
  > = [
    ['http', 9080, undefined, 'http'],
    ['HTTP-web', 9080, undefined, 'http'],
    ['http2-web', 9080, undefined, 'http2'],
    ['httpx', 9080, undefined, 'auto'],
    ['http-proxy', 9080, undefined, 'http'],
    ['grpc', 9080, undefined, 'grpc'],
    ['grpcfoo', 9080, undefined, 'auto'],
    ['grpc-web-x', 9080, undefined, 'grpc'],
    ['https', 9080, undefined, 'tls'],
    ['tls-a', 9080, undefined, 'tls'],
    ['tcp', 9080, undefined, 'tcp'],
    ['mongo', 9080, undefined, 'tcp'],
    ['redis-a', 9080, undefined, 'tcp'],
    ['mysql', 9080, undefined, 'tcp'],
    ['', 9080, undefined, 'auto'],
    ['', 3306, undefined, 'tcp'],
    ['', 25, undefined, 'tcp'],
    ['web', 27017, undefined, 'tcp'],
    ['http', 3306, undefined, 'http'],
    ['tcp', 80, 'http', 'http'],
    ['tcp', 80, 'kubernetes.io/h2c', 'http2'],
    ['tcp', 80, 'kubernetes.io/ws', 'http'],
    ['tcp', 80, 'kubernetes.io/wss', 'tls'],
    ['udp-dns', 80, undefined, undefined],
  ]
  for (const [name, port, appProtocol, expected] of cases) {
    const written = { name, port, protocol: 'TCP', ...(appProtocol ? { appProtocol } : {}) }
    t.equal(serviceProtocol(written), expected, `${name}:${port} ${appProtocol ?? ''}`)
  }
  t.equal(serviceProtocol({ name: 'http', port: 80, protocol: 'UDP' }), undefined)
})

t.test('an unknown appProtocol hides the name of the port (§23 #72)', async (t) => {
  t.equal(serviceProtocol({ name: 'http', port: 80, protocol: 'TCP', appProtocol: 'x' }), 'auto')
})

t.test('ServiceEntry ports: only the protocol counts (§23 #49)', async (t) => {
  const cases: Array<[string, string | undefined]> = [
    ['', 'auto'],
    ['HTTP', 'http'],
    ['HTTP2', 'http2'],
    ['GRPC', 'grpc'],
    ['GRPC-WEB', 'grpc'],
    ['HTTPS', 'tls'],
    ['TLS', 'tls'],
    ['TCP', 'tcp'],
    ['MONGO', 'tcp'],
    ['UDP', undefined],
  ]
  for (const [protocol, expected] of cases) t.equal(declaredProtocol(protocol), expected, protocol)
})
