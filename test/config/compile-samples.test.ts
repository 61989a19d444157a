import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import { pod, type View, viewOf, workload } from './compile-support.ts'
import { istioSamples, needed } from './corpus-files.ts'

const read = (path: string) => ({ path, text: readFileSync(`${istioSamples}/${path}`, 'utf8') })

/** The Pods that the samples' Deployments would make. */
const pods = {
  path: 'pods.yaml',
  text: [
    ['details-v1', '10.0.1.1', 'details', 'v1'],
    ['ratings-v1', '10.0.2.1', 'ratings', 'v1'],
    ['reviews-v1', '10.0.3.1', 'reviews', 'v1'],
    ['reviews-v2', '10.0.3.2', 'reviews', 'v2'],
    ['reviews-v3', '10.0.3.3', 'reviews', 'v3'],
    ['productpage-v1', '10.0.4.1', 'productpage', 'v1'],
    ['helloworld-v1', '10.0.5.1', 'helloworld', 'v1'],
    ['helloworld-v2', '10.0.5.2', 'helloworld', 'v2'],
    ['tcp-echo-v1', '10.0.6.1', 'tcp-echo', 'v1'],
    ['tcp-echo-v2', '10.0.6.2', 'tcp-echo', 'v2'],
  ]
    .map(([name, ip, app, version]) => pod(name!, ip!, { app: app!, version: version! }))
    .join(''),
}

const productpage = { addresses: ['10.0.4.1'], labels: { app: 'productpage', version: 'v1' } }

function sampled(...paths: string[]): View {
  return viewOf([pods, ...paths.map(read)], productpage)
}

const networking = (name: string) => `bookinfo/networking/${name}.yaml`

function bookinfo(...names: string[]): View {
  const rules = ['destination-rule-all', ...names].map(networking)
  return sampled('bookinfo/platform/kube/bookinfo.yaml', ...rules)
}

if (!existsSync(istioSamples)) needed(t)
else {
  t.test('bookinfo without rules: four services on one port, all Pods of each', async (t) => {
    const view = bookinfo()
    t.same(
      view.snapshot.outbound.listeners.map(({ port, addresses }) => [port, addresses]),
      [[9080, []]],
    )
    t.same(view.told(9080, 'reviews'), ['default -> outbound|9080||reviews x1'])
    t.same(view.endpoints('outbound|9080||reviews.default.svc.cluster.local'), [
      '10.0.3.1:9080',
      '10.0.3.2:9080',
      '10.0.3.3:9080',
    ])
    t.same(
      view.snapshot.inbound.ports.map(({ port, protocol, service }) => [port, protocol, service]),
      [[9080, 'http', 'productpage.default.svc.cluster.local']],
    )
    t.same(view.problems, [])
  })

  const cases: Array<[file: string, host: string, told: string[]]> = [
    ['virtual-service-all-v1', 'reviews', ['http[0] -> outbound|9080|v1|reviews x1']],
    ['virtual-service-all-v1', 'details', ['http[0] -> outbound|9080|v1|details x1']],
    [
      'virtual-service-reviews-90-10',
      'reviews',
      ['http[0] -> outbound|9080|v1|reviews x90, outbound|9080|v2|reviews x10'],
    ],
    [
      'virtual-service-reviews-80-20',
      'reviews',
      ['http[0] -> outbound|9080|v1|reviews x80, outbound|9080|v2|reviews x20'],
    ],
    [
      'virtual-service-reviews-50-v3',
      'reviews',
      ['http[0] -> outbound|9080|v1|reviews x50, outbound|9080|v3|reviews x50'],
    ],
    [
      'virtual-service-reviews-v2-v3',
      'reviews',
      ['http[0] -> outbound|9080|v2|reviews x50, outbound|9080|v3|reviews x50'],
    ],
    ['virtual-service-reviews-v3', 'reviews', ['http[0] -> outbound|9080|v3|reviews x1']],
    [
      'virtual-service-reviews-test-v2',
      'reviews',
      ['http[0].match[0] -> outbound|9080|v2|reviews x1', 'http[1] -> outbound|9080|v1|reviews x1'],
    ],
    [
      'virtual-service-reviews-jason-v2-v3',
      'reviews',
      ['http[0].match[0] -> outbound|9080|v2|reviews x1', 'http[1] -> outbound|9080|v3|reviews x1'],
    ],
    ['virtual-service-ratings-mysql', 'ratings', ['http[0] -> outbound|9080|v2-mysql|ratings x1']],
  ]
  t.test('bookinfo with its own rules', async (t) => {
    for (const [file, host, told] of cases)
      t.same(bookinfo(file).told(9080, host), told, `${file}: ${host}`)
  })

  t.test('jason is told by his header, at its line', async (t) => {
    const file = networking('virtual-service-reviews-test-v2')
    const [jason] = bookinfo('virtual-service-reviews-test-v2').routes(9080, 'reviews')
    const line =
      read(file)
        .text.split('\n')
        .findIndex((text) => text.includes('end-user')) + 1
    t.same(jason?.match?.headers, [
      { name: 'end-user', match: { kind: 'exact', value: 'jason', ignoreCase: false, line } },
    ])
    t.equal(jason?.origin.file, file)
  })

  t.test('subsets select the Pods of their version', async (t) => {
    const view = bookinfo()
    t.same(view.endpoints('outbound|9080|v2|reviews.default.svc.cluster.local'), ['10.0.3.2:9080'])
    t.equal(
      view.cluster('outbound|9080|v2|reviews.default.svc.cluster.local')?.policyOrigin?.file,
      networking('destination-rule-all'),
    )
  })

  t.test("the gateway's rules leave the sidecar alone", async (t) => {
    t.same(bookinfo('bookinfo-gateway').told(9080, 'productpage'), [
      'default -> outbound|9080||productpage x1',
    ])
    const view = sampled('tcp-echo/tcp-echo-services.yaml', 'tcp-echo/tcp-echo-20-v2.yaml')
    t.equal(view.listener(9000)?.tcp[0]?.path, '')
  })

  t.test('googleapis: another port by match.port, a TLS port by server name', async (t) => {
    const view = sampled(networking('egress-rule-google-apis'))
    t.same(view.told(80, 'www.googleapis.com'), [
      'http[0].match[0] -> outbound|443||www.googleapis.com x1',
    ])
    t.same(view.endpoints('outbound|443||www.googleapis.com'), ['www.googleapis.com:443'])
    t.equal(
      view.cluster('outbound|443||www.googleapis.com')?.loadBalancer.kind,
      'LEAST_REQUEST',
      '§3.3',
    )
    t.equal(view.cluster('outbound|80||www.googleapis.com')?.loadBalancer.kind, 'ROUND_ROBIN')
    t.match(view.listener(443), { protocol: 'tls', tls: [{ sniHosts: ['www.googleapis.com'] }] })
  })

  t.test('helloworld: both versions', async (t) => {
    const view = sampled('helloworld/helloworld.yaml')
    t.same(view.endpoints('outbound|5000||helloworld.default.svc.cluster.local'), [
      '10.0.5.1:5000',
      '10.0.5.2:5000',
    ])
    t.same(view.told(5000, 'helloworld'), ['default -> outbound|5000||helloworld x1'])
  })

  t.test('tcp-echo split by connection once it is bound to the mesh', async (t) => {
    const subsets = read('tcp-echo/tcp-echo-all-v1.yaml')
    const rule = read('tcp-echo/tcp-echo-20-v2.yaml')
    const text = rule.text
      .replace('- tcp-echo-gateway', '- mesh')
      .replace('- "*"', '- tcp-echo')
      .replace('port: 31400', 'port: 9000')
    const view = viewOf(
      [
        pods,
        read('tcp-echo/tcp-echo-services.yaml'),
        {
          path: 'a.yaml',
          text: subsets.text.slice(subsets.text.indexOf('kind: DestinationRule') - 40),
        },
        { path: 'b.yaml', text },
      ].map(({ path, text: yaml }) => ({ path, text: yaml })),
    )
    t.match(view.listener(9000), { protocol: 'tcp', service: 'tcp-echo.default.svc.cluster.local' })
    t.same(
      view.listener(9000)?.tcp[0]?.destinations.map(({ cluster, weight }) => [cluster, weight]),
      [
        ['outbound|9000|v1|tcp-echo.default.svc.cluster.local', 80],
        ['outbound|9000|v2|tcp-echo.default.svc.cluster.local', 20],
      ],
    )
    t.same(view.endpoints('outbound|9000|v2|tcp-echo.default.svc.cluster.local'), ['10.0.6.2:9000'])
  })

  t.test('all sample files together compile', async (t) => {
    const names = readdirSync(istioSamples, { recursive: true, encoding: 'utf8' })
    const files = names.filter((name) => name.endsWith('.yaml')).map(read)
    const { snapshot } = compile(load(files).resources, workload())
    t.ok(files.length > 50)
    t.ok(snapshot.clusters.size > 20)
    for (const { destinations } of snapshot.outbound.listeners.flatMap(({ tcp }) => tcp))
      t.ok(destinations.length > 0)
  })
}
