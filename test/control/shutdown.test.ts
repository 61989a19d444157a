import t from 'tap'
import { Shutdown, type ShutdownOptions } from '../../proxy/control/shutdown.ts'
import { HeardLog } from './support.ts'

function ending(more: Partial<ShutdownOptions> = {}) {
  const log = new HeardLog()
  const steps: string[] = []
  const shutdown = new Shutdown({
    log,
    onBegin: () => void steps.push('not ready'),
    openConnections: () => 0,
    drain: async (direction) => {
      steps.push(`drain ${direction}`)
      return { finished: 2, cut: 1 }
    },
    exit: (code) => void steps.push(`exit ${code}`),
    settleMs: 0,
    graceMs: 10,
    outboundLast: true,
    applicationThere: () => false,
    ...more,
  })
  return { shutdown, log, steps }
}

t.test('the application can still call out while inbound drains', async (t) => {
  const { shutdown, steps, log } = ending()
  await shutdown.begin('SIGTERM')
  t.same(steps, ['not ready', 'drain inbound', 'drain all', 'exit 0'])
  t.equal(log.count('4 finished, 2 cut off'), 1)
})

t.test(
  'outbound stays open until the application is gone, at most for the grace time',
  async (t) => {
    let looks = 0
    const { shutdown, steps } = ending({
      graceMs: 60_000,
      applicationThere: () => {
        steps.push('look')
        return ++looks < 3
      },
    })
    await shutdown.begin('SIGTERM')
    t.same(steps, ['not ready', 'drain inbound', 'look', 'look', 'look', 'drain all', 'exit 0'])
    const stubborn = ending({ applicationThere: () => true })
    await stubborn.shutdown.begin('SIGTERM')
    t.same(stubborn.steps.slice(-2), ['drain all', 'exit 0'])
  },
)

t.test('an idle proxy does not serve out its settle time', async (t) => {
  const { shutdown, steps } = ending({ settleMs: 3_600_000, outboundLast: false })
  await shutdown.begin('SIGTERM')
  t.same(steps, ['not ready', 'drain all', 'exit 0'])
})

t.test('while connections are open the settle time is served out', async (t) => {
  let looks = 0
  const { shutdown, steps } = ending({
    settleMs: 250,
    openConnections: () => {
      looks++
      return 1
    },
  })
  await shutdown.begin('SIGTERM')
  t.ok(looks >= 3)
  t.equal(steps.at(-1), 'exit 0')
})

t.test('the second request ends it without waiting', async (t) => {
  const { shutdown, steps } = ending({ drain: () => new Promise(() => undefined) })
  void shutdown.begin('SIGTERM')
  await shutdown.begin('SIGTERM')
  t.equal(steps.at(-1), 'exit 1')
})
