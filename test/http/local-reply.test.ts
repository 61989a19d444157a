import t from 'tap'
import {
  type DecidedBy,
  grpcStatusOf,
  isGrpc,
  type LocalReply,
  makeLocalReply,
  originText,
} from '../../proxy/http/local-reply.ts'
import { request } from '../routing/support.ts'

const origin: DecidedBy = {
  kind: 'DestinationRule',
  namespace: 'default',
  name: 'reviews',
  file: 'rules.yaml',
  line: 12,
}
const unhealthy: LocalReply = {
  status: 503,
  reason: 'no_healthy_upstream',
  text: 'no healthy upstream',
  sentence: 'Subset v3 of reviews has no endpoint.',
  origin,
  hint: 'Give a Pod the label version=v3.',
}

t.test("the body begins with Envoy's text, then says why, where and what to do", async (t) => {
  const { head, body } = makeLocalReply(request('GET', '/'), unhealthy, true)
  t.equal(head.status, 503)
  t.equal(head.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.equal(head.headers.get('x-outrider-reason'), 'no_healthy_upstream')
  t.equal(head.headers.get('x-outrider-origin'), 'DestinationRule default/reviews rules.yaml:12')
  t.ok(head.headers.has('date'))
  t.equal(
    body.toString(),
    'no healthy upstream\n\nSubset v3 of reviews has no endpoint.\n' +
      'Decided by DestinationRule default/reviews rules.yaml:12.\n' +
      'Give a Pod the label version=v3.\n',
  )
})

t.test('strangers get reason and sentence, but no names of objects and files', async (t) => {
  const { head, body } = makeLocalReply(request('GET', '/'), unhealthy, false)
  t.equal(head.headers.get('x-outrider-reason'), 'no_healthy_upstream')
  t.notOk(head.headers.has('x-outrider-origin'))
  t.equal(body.toString(), 'no healthy upstream\n\nSubset v3 of reviews has no endpoint.\n')
})

t.test('where Envoy has no text the sentence comes first', async (t) => {
  const reply = { status: 404, reason: 'route_not_found', sentence: 'No rule matches.' }
  t.equal(makeLocalReply(undefined, reply, true).body.toString(), 'No rule matches.\n')
})

t.test('a reply to HEAD has no body, further fields are added', async (t) => {
  const headers = [['x-envoy-overloaded', 'true']] as const
  const { head, body } = makeLocalReply(request('HEAD', '/'), { ...unhealthy, headers }, true)
  t.equal(body.length, 0)
  t.equal(head.headers.get('x-envoy-overloaded'), 'true')
})

t.test('gRPC callers get status 200 and the reason in grpc fields', async (t) => {
  const call = request('POST', '/pkg.Service/Method', [['content-type', 'application/grpc+proto']])
  const reply = { ...unhealthy, text: '', sentence: 'Für 100%: nein.', hint: '' }
  const { head, body } = makeLocalReply(call, reply, false)
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-type'), 'application/grpc')
  t.equal(head.headers.get('grpc-status'), '14')
  t.equal(head.headers.get('grpc-message'), 'F%C3%BCr 100%25: nein.')
  t.equal(body.length, 0)
})

t.test('statuses become gRPC statuses as Envoy maps them', async (t) => {
  const pairs = [
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
  ]
  for (const [status, grpc] of [...pairs, [504, 14], [500, 2]]) t.equal(grpcStatusOf(status!), grpc)
})

t.test('gRPC is told by its content type', async (t) => {
  const grpc = (type: string) => isGrpc(request('POST', '/', [['Content-Type', type]]))
  for (const type of ['application/grpc', 'application/grpc+json', 'Application/GRPC; a=b'])
    t.ok(grpc(type), type)
  for (const type of ['application/grpc-web', 'application/json', '']) t.notOk(grpc(type), type)
  t.notOk(isGrpc(request('POST', '/')))
})

t.test('nothing in a reason or origin can end its line', async (t) => {
  const evil = { ...origin, file: 'a\r\nset-cookie: x.yaml', name: 'café' }
  const reply = { ...unhealthy, reason: 'a\nb', origin: evil }
  const { headers } = makeLocalReply(undefined, reply, true).head
  for (const value of headers.values) t.notMatch(value, /[\r\n]/)
  t.match(headers.get('x-outrider-origin'), Buffer.from('café').toString('latin1'))
  t.equal(originText({ ...origin, namespace: '' }), 'DestinationRule reviews rules.yaml:12')
})
