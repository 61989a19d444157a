import t from 'tap'
import { clustersText } from '../../proxy/control/admin-views.ts'
import type { ClusterStatus } from '../../proxy/worker/messages.ts'

const endpoint: ClusterStatus['endpoints'][number] = {
  address: '10.0.0.1:80',
  healthy: true,
  ejected: '',
  weight: 3,
  locality: '',
  priority: 0,
  activeRequests: 1,
  connections: 2,
  idleConnections: 1,
  requests: 9,
  failures: 0,
}

t.test('/clusters tells weight, locality and level of each endpoint', async (t) => {
  const text = clustersText([
    {
      name: 'outbound|80||web',
      origin: 'Service default/web (web.yaml:1)',
      policyOrigin: '',
      loadBalancer: 'RING_HASH',
      endpoints: [
        endpoint,
        { ...endpoint, address: '10.0.0.2:80', locality: 'r1/z1' },
        { ...endpoint, address: '10.0.0.3:80', locality: 'r2', priority: 1 },
      ],
    },
  ])
  const [title, , ...rows] = text.trimEnd().split('\n')
  t.equal(title, 'outbound|80||web RING_HASH')
  t.match(rows, [
    /^ {2}10\.0\.0\.1:80 healthy weight 3 requests 9 /,
    /^ {2}10\.0\.0\.2:80 healthy weight 3 in r1\/z1 requests 9 /,
    /^ {2}10\.0\.0\.3:80 healthy weight 3 in r2 priority 1 requests 9 /,
  ])
})
