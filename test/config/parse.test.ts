import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from '../../config/parse.ts'
import { hasOddCharacters, readQuickly } from '../../config/parse-quick.ts'
import { isBooleanWord, resolvePlain } from '../../config/parse-scalar.ts'
import { readThoroughly } from '../../config/parse-thorough.ts'
import { offsetOf, type Raw, Source } from '../../config/raw.ts'
import { corpusFiles, istioConfig, needed } from './corpus-files.ts'

/** The tree as plain values. */
function plain(raw: Raw | undefined): unknown {
  if (raw === undefined) return undefined
  if (raw.kind === 'list') return raw.items.map(plain)
  if (raw.kind === 'scalar') return raw.value
  return Object.fromEntries(raw.entries.map(({ key, value }) => [key, plain(value)]))
}

function read(text: string): unknown[] {
  return parse(new Source('f.yaml', text)).map((document) => plain(document.root()))
}

function problems(text: string): string[] {
  const source = new Source('f.yaml', text)
  return parse(source).flatMap((document) =>
    document.problems.map(({ at, message }) => {
      const { line, column } = source.position(at)
      return `${line}:${column} ${message}`
    }),
  )
}

t.test(
  'unquoted scalars mean what they mean to Kubernetes (YAML 1.1 in the dialect of Go)',
  async (t) => {
    const cases: ReadonlyArray<readonly [string, unknown]> = [
      ['y', true],
      ['Yes', true],
      ['on', true],
      ['TRUE', true],
      ['n', false],
      ['NO', false],
      ['off', false],
      ['yEs', 'yEs'],
      ['', null],
      ['~', null],
      ['null', null],
      ['NULL', null],
      ['nil', 'nil'],
      ['80', 80],
      ['-5', -5],
      ['+5', 5],
      ['010', 8],
      ['0x1F', 31],
      ['0b101', 5],
      ['0o17', 15],
      ['-0x10', -16],
      ['08', 8],
      ['1_000', 1000],
      ['1.5', 1.5],
      ['.5', 0.5],
      ['1e3', 1000],
      ['1.', 1],
      ['0', 0],
      ['.inf', Number.POSITIVE_INFINITY],
      ['-.INF', Number.NEGATIVE_INFINITY],
      ['1.2.3.4', '1.2.3.4'],
      ['12:30:45', '12:30:45'],
      ['2001-12-14', '2001-12-14'],
      ['5s', '5s'],
      ['-', '-'],
      ['0x', '0x'],
    ]
    for (const [text, value] of cases) t.equal(resolvePlain(text), value, JSON.stringify(text))
    t.ok(Number.isNaN(resolvePlain('.nan')))
    for (const word of ['y', 'No', 'ON', 'off']) t.ok(isBooleanWord(word), word)
    for (const word of ['true', 'False', 'nope', 'oN']) t.notOk(isBooleanWord(word), word)
  },
)

t.test('both readers give the same documents', async (t) => {
  const cases: ReadonlyArray<readonly [string, unknown[]]> = [
    ['a: 1\nb:\n- x\n- v: z\n  w: "q"\n', [{ a: 1, b: ['x', { v: 'z', w: 'q' }] }]],
    ['---\na: 1\n---\n# only a comment\n---\nb: 2\n', [{ a: 1 }, { b: 2 }]],
    ['a: {b: [1, two, "3"], c: {}}\n', [{ a: { b: [1, 'two', '3'], c: {} } }]],
    [
      '{"a": {"b": [1, true, null, "x\\u00e9\\n"]},\n "c": -1.5}',
      [{ a: { b: [1, true, null, 'xé\n'] }, c: -1.5 }],
    ],
    [
      "a: 'it''s'\nb: \"x: y # z\"\nc: d#e\nd: f # g\n",
      [{ a: "it's", b: 'x: y # z', c: 'd#e', d: 'f' }],
    ],
    ['a:\nb: ~\nc: ""\n', [{ a: null, b: null, c: '' }]],
    ['- - 1\n  - 2\n-\n  a: 1\n- \n', [[[1, 2], { a: 1 }, null]]],
    ['n: {y: no}\n80: x\n', [{ false: { true: false }, 80: 'x' }]],
    ['a: 1\r\nb:\r\n  - 2\r\n', [{ a: 1, b: [2] }]],
    ['\ufeffa: 1\n', [{ a: 1 }]],
    [
      'base: &b {x: 1, v: 2}\nuse:\n  <<: *b\n  v: 3\nagain: *b\n',
      [{ base: { x: 1, v: 2 }, use: { v: 3, x: 1 }, again: { x: 1, v: 2 } }],
    ],
    ['a: |\n  line\n  ---x\nb: >-\n  folded\n  text\n', [{ a: 'line\n---x\n', b: 'folded text' }]],
    [
      'a: plain\n  continued\nb: !!str 12\nc: !!int "7"\n',
      [{ a: 'plain continued', b: '12', c: 7 }],
    ],
    ['%YAML 1.1\n---\na: 1\n...\n---\nb: 2\n', [{ a: 1 }, { b: 2 }]],
    ['a: [1.2.3.4, 001:db8::, ::1]\n', [{ a: ['1.2.3.4', '001:db8::', '::1'] }]],
    ['', []],
    ['# nothing\n', []],
  ]
  for (const [text, expected] of cases) t.same(read(text), expected, JSON.stringify(text))
})

t.test('syntax errors are told once per document, where they are', async (t) => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ['a: [1, 2\nb: 3\n', /^[12]:\d+ this is not YAML/],
    ['a: 1\n\tb: 2\n', /^2:1 /],
    ['a: "x\n', /^\d:\d+ this is not YAML: missing closing "quote/],
    ['a: b: c\n', /^1:4 this is not YAML: nested mappings are not allowed/],
    ['a: 1\n b: 2\n', /^2:\d+ /],
    ['a: 1\n- b\n', /^2:1 /],
    ['a: *nothing\n', /^1:4 .*(alias|nothing)/],
    ['a: 1\n---\nb: {\n---\nc: 3\n', /^[34]:\d+ /],
    ['? [a, b]\n: c\n', /^1:\d+ the key of a map must be text/],
    ['a: &x 1\nb:\n  <<: *x\n', /^3:3 the merge key << needs a map/],
  ]
  for (const [text, expected] of cases) {
    const found = problems(text)
    t.equal(found.length, 1, JSON.stringify(text))
    t.match(found[0], expected)
  }
})

t.test('a broken document leaves the others of its file readable', async (t) => {
  t.same(read('a: 1\n---\nb: {\n---\nc: 3\n'), [{ a: 1 }, undefined, { c: 3 }])
})

t.test('a key written twice is a problem of its second place, and the tree stays', async (t) => {
  t.same(problems('a: 1\nb: 2\na: 3\n'), ['3:1 the key "a" appears twice in the same map'])
  t.same(problems('m: {x: 1, "x": 2}\n'), ['1:11 the key "x" appears twice in the same map'])
  const many = Array.from({ length: 200 }, (_, index) => `k${index}: ${index}\n`).join('')
  t.same(problems(many), [])
  t.same(problems(`${many}k7: again\n`), ['201:1 the key "k7" appears twice in the same map'])
})

t.test(
  'documents that unfold without end, or nest without end, are refused, not followed',
  async (t) => {
    let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
    for (let level = 1; level < 9; level++)
      bomb += `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]\n`
    t.match(problems(bomb)[0], /aliases unfold this document to more than/)
    t.match(problems(`a: ${'['.repeat(200_000)}`)[0], /nested too deeply|not YAML/)
  },
)

t.test('every key and item knows its line and column', async (t) => {
  const text = 'spec:\n  http:\n  - match:\n    - uri: {prefix: /a}\n    route: [{weight: 1}]\n'
  const source = new Source('f.yaml', text)
  const [document] = parse(source)
  const at = (...path: Array<string | number>) => {
    const { line, column } = source.position(offsetOf(document!.root()!, path))
    return `${line}:${column}`
  }
  t.equal(at('spec'), '1:1')
  t.equal(at('spec', 'http', 0), '3:5')
  t.equal(at('spec', 'http', 0, 'match', 0, 'uri', 'prefix'), '4:13')
  t.equal(at('spec', 'http', 0, 'route', 0, 'weight'), '5:14')
  t.equal(at('spec', 'http', 0, 'timeout'), '3:5', 'the deepest part that exists')
  document!.forget()
  t.equal(at('spec', 'http', 0, 'route'), '5:5', 'also after the tree was dropped')
})

t.test('the quick reader agrees with the library wherever it is sure', async (t) => {
  if (!needed(t)) return
  const files = corpusFiles('valid').concat(corpusFiles('data'))
  let sure = 0
  let documents = 0
  for (const file of files) {
    const text = readFileSync(`${istioConfig}/${file}`, 'utf8')
    for (const chunk of text.split(/^(?=---\s*$)/m)) {
      if (hasOddCharacters(chunk) || /^(%|\.\.\.)/m.test(chunk)) continue
      documents++
      if (compare(t, chunk)) sure++
    }
  }
  t.ok(sure > documents * 0.95, `sure of ${sure} of ${documents}`)
})

t.test(
  'and on damaged text: what it reads, the library reads alike and without complaint',
  async (t) => {
    if (!needed(t)) return
    const texts = corpusFiles('valid').map((file) =>
      readFileSync(`${istioConfig}/${file}`, 'utf8').slice(0, 1200),
    )
    const json = texts
      .slice(0, 60)
      .map((text) => JSON.stringify(plain(parse(new Source('f', text))[0]?.root()), null, 1))
    const pieces = [
      ' ',
      '\n',
      '- ',
      ': ',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ',',
      ' #',
      'a',
      '0',
      '  ',
      ':',
      '~',
      'no',
      '|',
      '*',
      '&x ',
      '\\',
    ]
    let seed = 20_261
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
      return seed % below
    }
    let sure = 0
    for (let round = 0; round < 1500; round++) {
      const pool = round % 3 === 0 ? json : texts
      let text = pool[random(pool.length)]!
      for (let change = random(3); change >= 0; change--) {
        const at = random(text.length + 1)
        text =
          random(2) === 0
            ? text.slice(0, at) + pieces[random(pieces.length)] + text.slice(at)
            : text.slice(0, at) + text.slice(at + 1 + random(3))
      }
      if (/^(%|\.\.\.|---)/m.test(text) || hasOddCharacters(text)) continue
      if (compare(t, text)) sure++
    }
    t.ok(sure > 300, `sure of ${sure}`)
  },
)

/** True when the quick reader was sure; silent when it agrees. */
function compare(t: Test, text: string): boolean {
  const quick = readQuickly(text, 0, text.length)
  if (quick === undefined) return false
  const thorough = readThoroughly(text, 0, text.length)
  const same = JSON.stringify(quick.root) === JSON.stringify(thorough.root)
  if (!same || thorough.problems.length > 0) {
    t.same(quick.root, thorough.root, text)
    t.same(thorough.problems, [], text)
  }
  return true
}
