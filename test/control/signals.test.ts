import t from 'tap'
import { withoutEchoes } from '../../proxy/control/signals.ts'

t.test('a signal that comes twice at once is one request, a later one is another', async (t) => {
  const begun: string[] = []
  let now = 0
  const receive = withoutEchoes(
    (signal) => begun.push(`${signal} ${now}`),
    () => now,
  )
  receive('SIGTERM')
  now = 20
  receive('SIGTERM')
  now = 499
  receive('SIGINT')
  t.same(begun, ['SIGTERM 0'])
  now = 600
  receive('SIGTERM')
  t.same(begun, ['SIGTERM 0', 'SIGTERM 600'])
})
