import t from 'tap'
import { makeLog } from '../../proxy/control/make-log.ts'

t.test('for a terminal it writes time, level and message', async (t) => {
  const lines: string[] = []
  const log = await makeLog('text', 'info', (line) => lines.push(line))
  log.debug({}, 'unheard')
  log.warn({ file: 'a.yaml' }, 'take care')
  t.match(lines, [/^\d\d:\d\d:\d\d\.\d{3} warn {2}take care\n$/])
  log.level = 'debug'
  log.debug({}, 'heard')
  t.equal(lines.length, 2)
  log.error({ err: new RangeError('why') }, 'broken')
  t.match(lines[3], 'RangeError: why')
})

t.test('for collectors it writes one JSON object per line with its fields', async (t) => {
  const lines: string[] = []
  const log = await makeLog('json', 'warn', (line) => lines.push(line))
  log.info({}, 'unheard')
  log.error({ worker: 1, err: new RangeError('why') }, 'broken')
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), {
    level: 'error',
    msg: 'broken',
    worker: 1,
    err: { type: 'RangeError', message: 'why' },
    time: /^\d{4}-\d\d-\d\dT/,
  })
  log.level = 'silent'
  log.error({}, 'unheard')
  t.equal(lines.length, 1)
})
