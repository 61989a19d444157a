import t from 'tap'
import { createLog, readable } from '../../proxy/telemetry/log.ts'

function collect() {
  const lines: string[] = []
  return { lines, to: { write: (line: string) => void lines.push(line) } }
}

t.test('a line is a JSON object with time, level, thread and fields', async (t) => {
  const { lines, to } = collect()
  const log = createLog({ level: 'info', thread: 'worker 1', format: 'json', to })
  log.info({ file: 'vs.yaml' }, 'loaded')
  const line = JSON.parse(lines[0]!)
  t.match(line, { level: 'info', thread: 'worker 1', msg: 'loaded', file: 'vs.yaml' })
  t.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.ok(lines[0]!.endsWith('\n'))
})

t.test('the level can be changed at run time', async (t) => {
  const { lines, to } = collect()
  const log = createLog({ level: 'warn', thread: 'main', format: 'json', to })
  log.info('unheard')
  log.level = 'debug'
  log.debug('heard')
  t.equal(lines.length, 1)
})

t.test('people get a line they can read', async (t) => {
  const { lines, to } = collect()
  const log = createLog({ level: 'info', thread: 'main', format: 'text', to })
  log.warn({ port: 15001, why: 'in use', version: 'ab12' }, 'cannot listen')
  t.match(
    lines[0],
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}main: cannot listen {2}port=15001 {2}why="in use" {2}version=ab12\n$/,
  )
})

t.test('an error brings its stack', async (t) => {
  const { lines, to } = collect()
  const log = createLog({ level: 'info', thread: 'main', format: 'text', to })
  log.error(new TypeError('broken'), 'it stopped')
  t.match(lines[0], 'main: it stopped')
  t.match(lines[0], /TypeError: broken\n\s+at /)
})

t.test('a line without a message is readable too', async (t) => {
  t.equal(
    readable('{"level":"info","time":"2026-03-01T12:00:05.007Z","thread":"main","n":1}'),
    '12:00:05.007 info  main:   n=1\n',
  )
})
