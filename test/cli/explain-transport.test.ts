import t from 'tap'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import { invariant } from '../../proxy/base/invariant.ts'
import { explainCall } from '../../proxy/cli/explain-call.ts'
import { readRequest } from '../../proxy/cli/explain-request.ts'
import { explanationText } from '../../proxy/cli/explain-text.ts'

const caller = {
  name: 'page',
  namespace: 'default',
  serviceAccount: 'default',
  labels: {},
  addresses: ['10.0.0.9'],
}

function explained(policy: string, url = 'http://web.example'): string {
  const text = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec:
  hosts: [web.example]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 5432, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec:
  host: web.example
  trafficPolicy:
    ${policy}
`
  const loaded = load([{ path: 'mesh.yaml', text }])
  t.same(loaded.refused, [])
  const asked = readRequest('GET', url, [])
  invariant(typeof asked !== 'string', String(asked))
  return explanationText(explainCall(compile(loaded.resources, caller).snapshot, asked))
}

t.test('TLS towards a destination is told with whom it believes and who asks for it', async (t) => {
  t.match(
    explained('tls: {mode: SIMPLE}'),
    "in TLS (SIMPLE), server name the request's host, or web.example for opaque bytes; " +
      "its certificate must be for that name, by the system's authorities, as DestinationRule default/web",
  )
  t.match(
    explained(
      'tls: {mode: MUTUAL, sni: in.example, caCertificates: /ca, clientCertificate: /cert, privateKey: /key, subjectAltNames: [a, b]}',
    ),
    'in TLS (MUTUAL), server name in.example; its certificate must be for a or b, by /ca, showing /cert',
  )
  t.match(
    explained('tls: {mode: SIMPLE, insecureSkipVerify: true}'),
    'its certificate is not verified',
  )
  t.match(explained('tls: {mode: ISTIO_MUTUAL}'), 'refused with 503 UF: mode ISTIO_MUTUAL needs')
  t.notMatch(explained('tls: {mode: DISABLE}'), 'TLS')
})

t.test('tunnels and headers of connections are told', async (t) => {
  t.match(
    explained('tunnel: {targetHost: far.example, targetPort: 443}'),
    'opaque bytes through a tunnel to far.example:443, asked for by CONNECT',
  )
  t.match(explained('proxyProtocol: {version: V2}'), 'begins with a PROXY protocol header, V2')
})
