/** Our engines against re2js, which they take their programs from, and against hostile expressions. */
import t from 'tap'
import { regex } from '../../config/schema/formats.ts'
import { Random } from '../../proxy/base/random.ts'
import { compileRegex, regexWork } from '../../proxy/filters/regex.ts'
import { RegexMatcher } from '../../proxy/filters/regex-matcher.ts'
import { RegexReplacer } from '../../proxy/filters/regex-replacer.ts'

const random = new Random(20261121)
const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!

const atoms = [
  'a',
  'b',
  'c',
  '.',
  '[ab]',
  '[^b]',
  '\\w',
  '\\d',
  '/',
  'é',
  '(?i:aK)',
  '[é-ü]',
  '\\pL',
]
const assertions = ['^', '$', '\\b', '\\B', '(?m:^)', '(?m:$)']
const repeats = ['*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{1,}']

function expression(depth: number): string {
  const kind = random.below(depth > 0 ? 10 : 3)
  if (kind < 3) return pick(atoms)
  if (kind === 3) return pick(assertions)
  if (kind < 6) return `(${expression(depth - 1)})${random.below(2) ? pick(repeats) : ''}`
  if (kind < 8) return `${expression(depth - 1)}|${expression(depth - 1)}`
  return expression(depth - 1) + expression(depth - 1)
}

const text = (): string =>
  Array.from({ length: random.below(9) }, () =>
    pick(['a', 'b', 'c', 'K', 'k', '/', '1', ' ', '\n', 'é', '😀']),
  ).join('')

t.test('what matches is what re2js says matches', async (t) => {
  let matched = 0
  for (let round = 0; round < 350; round++) {
    const pattern = expression(4)
    const ours = new RegexMatcher(pattern)
    const twin = compileRegex(pattern)
    for (let i = 0; i < 12; i++) {
      const value = text()
      regexWork.renew()
      const wanted = twin.matches(value)
      if (wanted) matched++
      if (ours.matches(value) !== wanted)
        t.fail(`${JSON.stringify(pattern)} on ${JSON.stringify(value)}: re2js says ${wanted}`)
    }
  }
  t.ok(matched > 200, `${matched} of 4200 matched`)
})

/** RE2's rule about empty hits, over re2js's own search. */
function replacedByTwin(pattern: string, value: string): string {
  const twin = compileRegex(pattern)
  let lastEnd = -1
  return twin.matcher(value).replaceAll((...found: unknown[]) => {
    const hit = String(found[0])
    const at = Number(found[twin.groupCount() + 1])
    if (hit === '' && at === lastEnd) return ''
    lastEnd = at + hit.length
    return `<${hit}|${found[1] ?? ''}>`
  })
}

t.test('what is replaced is what re2js finds, with its groups', async (t) => {
  let replaced = 0
  for (let round = 0; round < 350; round++) {
    const pattern = `(${expression(3)})${random.below(2) ? '' : expression(2)}`
    const ours = new RegexReplacer(pattern, ['<', 0, '|', 1, '>'])
    for (let i = 0; i < 6; i++) {
      const value = text().replaceAll('😀', 'x')
      regexWork.renew()
      const wanted = replacedByTwin(pattern, value)
      if (wanted !== value) replaced++
      const got = ours.replaceAll(value)
      if (got !== wanted)
        t.fail(`${JSON.stringify(pattern)} on ${JSON.stringify(value)}: ${got}, re2js ${wanted}`)
    }
  }
  t.ok(replaced > 200, `${replaced} of 2100 replaced`)
})

const size = 100 * 1024
const letters = (from: string): string =>
  `/${Array.from({ length: size }, () => pick([...from])).join('')}`
const hostileTexts = [`/${'a'.repeat(size)}`, letters('ab'), letters('abcdefghij/0123-_.')]
const hostilePatterns = [
  '/.*a.{300}c',
  '/.*a[ab]{300}c.*',
  '.*(a.{40}c|b.{41}c|c.{42}a.{100}x)',
  '/.*a.{15}b',
  '(.*)(a.{100}b)(.*)',
  '/.*a(.?){400}c',
  '(?i).*A.{200}Q',
  '.*(\\pL{500}).*',
  '^/(a*)*b$',
  '/(x+x+)+y',
  '((((a?){10}){10}){10})*',
]

t.test('no expression and no text of 100 KiB takes more than its steps', async (t) => {
  regexWork.renew()
  const allowed = regexWork.left
  for (const pattern of hostilePatterns) {
    const matcher = new RegexMatcher(pattern)
    const replacer = new RegexReplacer(pattern, ['x'])
    // One turn of the inner loops may go beyond, by no more than the size of the program.
    const most = allowed + 20 * matcher.program.instructions.length
    for (const value of hostileTexts) {
      regexWork.renew()
      const matched = matcher.matches(value)
      t.ok(allowed - regexWork.left <= most, pattern)
      if (regexWork.gaveUp === '') t.equal(matched, compileRegex(pattern).matches(value), pattern)
      else t.equal(matched, false, 'a text that takes too much does not match')
      regexWork.renew()
      replacer.replaceAll(value)
      t.ok(allowed - regexWork.left <= most, `${pattern}, replaced`)
    }
  }
})

t.test('once the work of a request is used up every expression says no at once', async (t) => {
  regexWork.renew()
  t.equal(new RegexMatcher('/.*a.{300}c').matches(hostileTexts[1]!), false)
  t.equal(regexWork.gaveUp, '/.*a.{300}c')
  t.equal(new RegexMatcher('a[b]').matches('ab'), false)
  t.equal(regexWork.gaveUp, '/.*a.{300}c', 'the first one is named')
  regexWork.renew()
  t.equal(new RegexMatcher('a[b]').matches('ab'), true)
})

t.test('ordinary expressions decide texts of 60 KiB', async (t) => {
  const long = letters('abcdefghij0123').slice(0, 60 * 1024)
  for (const [pattern, value, wanted] of [
    ['/[\\w/.-]+', long, true],
    ['(?:.*;)?user=jason(?:;.*)?', `${long};user=jason;x`, true],
    ['/.*\\.(jpg|png)', `${long}.png`, true],
    ['/v[0-9]+/.*', long, false],
  ] as const) {
    regexWork.renew()
    t.equal(new RegexMatcher(pattern).matches(value), wanted, pattern)
    t.equal(regexWork.gaveUp, '')
  }
})

t.test('ordinary expressions rewrite paths of 60 KiB', async (t) => {
  const long = `/api/v1/${'abcdefg-12/'.repeat(5_580)}`
  t.ok(long.length > 60 * 1024 - 100)
  for (const [pattern, parts, wanted] of [
    ['^/api/v1/(.*)$', ['/v2/', 1], long.replace('/api/v1', '/v2')],
    ['^/api/v[0-9]+/([^/]+)/(.*)$', ['/', 2, '/', 1], `/${long.slice(19)}/abcdefg-12`],
    ['(.*)/old/(.*)', [1, 2], long],
    ['/([a-z]+)', ['/<', 1, '>'], long.replaceAll(/\/([a-z]+)/g, '/<$1>')],
    ['[^/]+', ['x'], long.replaceAll(/[^/]+/g, 'x')],
    ['\\d+/?$', ['end'], long.replace(/\d+\/?$/, 'end')],
    ['.*', ['/'], '/'],
    ['a.*b.*c.*d', ['x'], long.replace(/a.*b.*c.*d/, 'x')],
  ] as const) {
    regexWork.renew()
    t.ok(new RegexReplacer(pattern, parts).replaceAll(long) === wanted, pattern)
    t.equal(regexWork.gaveUp, '', pattern)
  }
})

t.test('what states of a replacer hold is bounded', async (t) => {
  const replacer = new RegexReplacer('a.{60}b[ab]{0,60}c', ['x'])
  const cells = () => (replacer as unknown as { cells: number }).cells
  const text = letters('ab')
  const hit = `a${'b'.repeat(70)}c`
  let forgot = false
  let most = 0
  for (let i = 0; i < 40; i++) {
    const before = cells()
    regexWork.renew()
    replacer.replaceAll(text.slice(i * 500))
    most = Math.max(most, cells())
    forgot ||= cells() < before
    regexWork.renew()
    t.equal(replacer.replaceAll(`.${hit}.`), '.x.')
  }
  t.ok(forgot, 'they are forgotten now and then')
  t.ok(most < 300_000, `${most} cells`)
})

t.test('what states hold is bounded', async (t) => {
  const matcher = new RegexMatcher('.*a.{60}b[ab]{0,60}')
  const cells = () => (matcher as unknown as { cells: number }).cells
  let most = 0
  for (let i = 0; i < 18; i++) {
    regexWork.renew()
    matcher.matches(letters('ab').slice(0, 4000))
    most = Math.max(most, cells())
  }
  t.ok(most > 100_000 && most <= 500_000 + 4096, `${most}`)
  regexWork.renew()
  t.equal(matcher.matches(`a${'b'.repeat(61)}`), true, 'and forgetting changes no answer')
})

t.test('what RE2 has not is refused when the files are read', async (t) => {
  for (const pattern of ['(?<=a)b', '(?<!a)b', '(?=a)', '(a)\\1']) t.ok(regex(pattern), pattern)
})
