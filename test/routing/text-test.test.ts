import { RE2JS } from 're2js'
import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { TextTest } from '../../proxy/routing/text-test.ts'
import { text } from './support.ts'

const plain: ReadonlyArray<readonly [pattern: string, yes: string[], no: string[]]> = [
  ['.*', ['', 'x'], []],
  ['.+', ['x'], ['']],
  ['jason', ['jason'], ['jasona', 'xjason', '']],
  ['^jason$', ['jason'], ['jasona']],
  ['jason.*', ['jason', 'jasonx'], ['xjason']],
  ['.*jason', ['jason', 'xjason'], ['jasonx']],
  ['.*jason.*', ['jason', 'xjasonx'], ['jaso']],
  ['.+jason.+', ['xjasonx', 'jasonjasonx'], ['jasonx', 'xjason', 'jasonjason']],
  ['/api/.+', ['/api/x'], ['/api/', '/api']],
  ['a|b|cd', ['a', 'b', 'cd'], ['ab', '', 'c']],
  ['(a|b)c?', ['a', 'b', 'ac', 'bc'], ['c', 'abc']],
  ['/api(/.*)?', ['/api', '/api/', '/api/x'], ['/apix']],
  ['https?', ['http', 'https'], ['httpss']],
  ['v1\\.2\\.0', ['v1.2.0'], ['v1x2x0']],
  ['(?:GET|HEAD)', ['GET', 'HEAD'], ['get', 'GETHEAD']],
  ['^(.*?jason.*)$', ['jason', 'xjasonx'], ['jaso']],
]

t.test('common shapes need no engine and mean what they say', async (t) => {
  for (const [pattern, yes, no] of plain) {
    const test = TextTest.ofRegex(pattern)
    t.notOk(test.needsEngine, pattern)
    for (const value of yes) t.ok(test.test(value), `${pattern} accepts ${value}`)
    for (const value of no) t.notOk(test.test(value), `${pattern} refuses ${value}`)
  }
})

t.test('expressions that say more stay with the engine', async (t) => {
  const patterns = ['[a-z]+', 'a.b', 'a*', 'a{2}', '.+.+', 'a.*b', '(?i)a', '\\d', 'a|^b|c$d', '(a']
  for (const pattern of patterns.slice(0, -1)) t.ok(TextTest.ofRegex(pattern).needsEngine, pattern)
  t.throws(() => TextTest.ofRegex(patterns.at(-1)!))
})

const atoms = [
  'a',
  'b',
  'ab',
  '.*',
  '.+',
  '.*?',
  '(',
  '(?:',
  ')',
  '|',
  '?',
  '\\.',
  '.',
  '^',
  '$',
  '/',
]

t.test('a plain test gives the answer of RE2 for every pattern and value', async (t) => {
  const random = new Random(11)
  const draw = (parts: readonly string[], most: number): string => {
    let made = ''
    for (let n = random.below(most + 1); n > 0; n--) made += parts[random.below(parts.length)]
    return made
  }
  let compared = 0
  for (let i = 0; i < 30_000; i++) {
    const pattern = draw(atoms, 7)
    let engine: RE2JS
    try {
      engine = RE2JS.compile(pattern)
    } catch {
      continue
    }
    const test = TextTest.ofRegex(pattern)
    if (test.needsEngine) continue
    for (let k = 0; k < 4; k++) {
      const value = draw(['a', 'b', '.', '/', '$'], 6)
      compared++
      if (test.test(value) !== engine.matches(value)) t.fail(`${pattern} on ${value}`)
    }
  }
  t.ok(compared > 20_000, `${compared} compared`)
})

t.test('exact and prefix see case unless told otherwise', async (t) => {
  t.ok(TextTest.of(text('exact', '/A')).test('/A'))
  t.notOk(TextTest.of(text('exact', '/A')).test('/a'))
  t.ok(TextTest.of(text('exact', '/Ab', { ignoreCase: true })).test('/aB'))
  t.notOk(TextTest.of(text('exact', '/Ab', { ignoreCase: true })).test('/aBc'))
  t.ok(TextTest.of(text('prefix', '/Ab', { ignoreCase: true })).test('/aBc'))
  t.notOk(TextTest.of(text('prefix', '/Ab', { ignoreCase: true })).test('/a'))
  t.notOk(TextTest.of(text('exact', '@', { ignoreCase: true })).test('`'))
})

t.test('text of the configuration is compared as its UTF-8 bytes', async (t) => {
  const wire = Buffer.from('café').toString('latin1')
  t.ok(TextTest.of(text('exact', 'café')).test(wire))
  t.ok(TextTest.of(text('prefix', 'caf\u00e9')).test(`${wire}!`))
  t.ok(TextTest.of(text('regex', 'caf.')).test(wire))
  t.ok(TextTest.of(text('regex', '[é]+|café')).test(wire))
})
