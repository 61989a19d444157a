import { readFileSync } from 'node:fs'
import t from 'tap'
import { judge, openDoors, whyNot } from './corpus.ts'

/** An HTTP/2 preface is a connection of another protocol, handed on as such. */
const preface = 'go-readrequest-15'

/** Explicit mode routes by what the request names: these name nothing, or what is no service. */
const nameNoService = [
  ...['go-host-15', 'gunicorn-valid-001', 'gunicorn-valid-019', 'h11-io-05', 'h11-io-06'],
  ...['llhttp-connection-02', 'llhttp-connection-03'],
  ...['go-host-04', 'go-host-07', 'go-host-08', 'llhttp-sample-07'],
  ...['gunicorn-valid-rfc9112_target_absolute_ipv6_01'],
]

const skip = whyNot()

t.test('the HTTP/1 corpus through a whole sidecar', { skip, timeout: 300_000 }, async (t) => {
  const { doors, proxy } = await openDoors(t.testdir())
  t.teardown(() => proxy[Symbol.asyncDispose]())
  const { backendPort } = doors

  const inbound = await judge(doors.inbound, backendPort, [])
  t.match(inbound.output, /responses: 112\/112 pass/)
  t.strictSame(inbound.failed, [preface], inbound.output)

  const bound = await judge(doors.bound, backendPort, ['--host', 'far.example'])
  t.match(bound.output, /responses: 112\/112 pass/)
  t.strictSame(bound.failed, [preface], bound.output)

  const outbound = await judge(doors.outbound, backendPort, ['--host', 'far.example'])
  t.match(outbound.output, /responses: 112\/112 pass/)
  t.equal(outbound.desyncs, 0, outbound.output)
  t.strictSame(outbound.failed, [...nameNoService].sort(), outbound.output)

  proxy.child.kill('SIGTERM')
  const ended = await proxy.ended()
  t.equal(ended.code, 0)
  t.notMatch(ended.text, /"level":"(?:error|fatal)"/, 'the proxy has nothing to complain about')
  const lines = readFileSync(doors.accessLog, 'latin1').trimEnd().split('\n')
  const dates = lines.filter((line) => /^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] /.test(line))
  t.equal(dates.length, lines.length, 'no hostile byte breaks a line of the access log')
})
