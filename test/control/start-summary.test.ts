import t from 'tap'
import { type StartFacts, startLines } from '../../proxy/control/start-summary.ts'

const facts: StartFacts = {
  version: '1.2.3',
  workload: {
    name: 'page-1',
    namespace: 'default',
    serviceAccount: 'page',
    labels: { app: 'page', version: 'v1' },
    addresses: ['10.0.0.7'],
  },
  explicit: false,
  workers: 2,
  binds: [],
  places: {
    outbound: '0.0.0.0:15001',
    inbound: '0.0.0.0:15006',
    admin: '127.0.0.1:15000',
    health: undefined,
    metrics: undefined,
  },
  folders: ['mesh', 'more'],
  files: 1,
  configVersion: 'abc',
  generation: 1,
  services: 4,
  problems: { error: 0, warning: 0, info: 9 },
  quarantined: [],
  readyAfterMs: 342,
}

t.test('the block tells who, where, what and how long, one fact per line', (t) => {
  t.same(startLines(facts).split('\n'), [
    'Outrider 1.2.3 is ready after 0.34 s',
    '  workload  default/page-1 (app=page,version=v1) at 10.0.0.7',
    '  mode      captured: connections redirected by iptables',
    '  traffic   outbound 0.0.0.0:15001, inbound 0.0.0.0:15006, 2 workers',
    '  pages     http://127.0.0.1:15000/',
    '  config    mesh, more (1 file), version abc, generation 1',
    '  content   4 services, no problems',
    '',
  ])
  t.end()
})

t.test('problems are counted with the page that lists them', (t) => {
  const text = startLines({
    ...facts,
    explicit: true,
    binds: [{ service: 'web', port: 80, listen: { address: '::1', port: 8080 } }],
    problems: { error: 1, warning: 2, info: 0 },
    quarantined: ['VirtualService default/page'],
  })
  t.match(
    text,
    '1 error, 2 warnings (http://127.0.0.1:15000/problems); left out: VirtualService default/page',
  )
  t.match(text, 'explicit: call services through http://0.0.0.0:15001')
  t.match(text, 'bind      [::1]:8080 is web:80')
  t.end()
})
