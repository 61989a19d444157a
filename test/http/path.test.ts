import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { canonicalTarget, type PathNormalization, pathOf } from '../../proxy/http/path.ts'

const base: ReadonlyArray<readonly [sent: string, canonical: string]> = [
  ['/', '/'],
  ['/reviews/1?x=%65', '/reviews/1?x=%65'],
  ['/%65xact', '/exact'],
  ['/%7euser/%2d%5F%2E', '/~user/-_.'],
  ['/a/./b/../c', '/a/c'],
  ['/a/%2e%2E/b', '/b'],
  ['/a/.', '/a/'],
  ['/a/..', '/'],
  ['/..', '/'],
  ['/../../x', '/x'],
  ['/a//../b', '/a/b'],
  ['/.well-known/x', '/.well-known/x'],
  ['/a/...', '/a/...'],
  ['/a/..b/.c', '/a/..b/.c'],
  ['/a\\b', '/a/b'],
  ['/a/..\\b', '/b'],
  ['/a|b"c', '/a%7Cb%22c'],
  ['/{a}<b>^`', '/%7Ba%7D%3Cb%3E%5E%60'],
  ['/%zz', '/%zz'],
  ['/a%', '/a%'],
  ['/a%2', '/a%2'],
  ['/a%2Fb%2f%5C', '/a%2Fb%2f%5C'],
  ['/a%00', ''],
  ['/%00?x', ''],
  ['/a?x=%00', '/a?x=%00'],
  ['/a#frag', '/a'],
  ['/a?q#frag', '/a?q'],
  ['/a#f?q', '/a'],
  ['//admin', '//admin'],
  ['/a?x=../b|"\\', '/a?x=../b|"\\'],
  ["/a!$&'()*+,;=:@[]", "/a!$&'()*+,;=:@[]"],
  ['/caf\u00c3\u00a9', '/caf%C3%A9'],
  ['/%%32e/x', '/%252e/x'],
  ['/%%32e%%32e/x', '/%252e%252e/x'],
  ['/%%32%65', '/%252e'],
  ['/%2%65', '/%252e'],
  ['/%%30%30', '/%2500'],
  ['/%0%41/%0!', '/%250A/%0!'],
  ['/%%%32e', '/%%252e'],
  ['/%252e%252e/x', '/%252e%252e/x'],
  ['*', '*'],
  ['db:3306', 'db:3306'],
]

t.test('BASE decodes, resolves and escapes paths and leaves queries alone', async (t) => {
  for (const [sent, canonical] of base) t.equal(canonicalTarget(sent, 'BASE'), canonical, sent)
})

t.test('NONE changes nothing but the fragment', async (t) => {
  for (const [sent] of base) t.equal(canonicalTarget(sent, 'NONE'), sent.replace(/#.*/, ''), sent)
})

t.test('MERGE_SLASHES joins neighbouring slashes of the path only', async (t) => {
  t.equal(canonicalTarget('//a///b/?x=//', 'MERGE_SLASHES'), '/a/b/?x=//')
  t.equal(canonicalTarget('/a\\/b', 'MERGE_SLASHES'), '/a/b')
  t.equal(canonicalTarget('/a%2F/b', 'MERGE_SLASHES'), '/a%2F/b')
})

t.test('DECODE_AND_MERGE_SLASHES turns escaped slashes first', async (t) => {
  const mode = 'DECODE_AND_MERGE_SLASHES'
  t.equal(canonicalTarget('/a%2Fb%5cc', mode), '/a/b/c')
  t.equal(canonicalTarget('/a%2f..%2Fb', mode), '/b')
  t.equal(canonicalTarget('/a?x=%2F', mode), '/a?x=%2F')
})

t.test('a canonical target is its own canonical form, and the same string', async (t) => {
  const random = new Random(7)
  const alphabet = ['/', '.', '..', '%2e', '%2F', '%41', '%', 'a', '\\', '|', '//', '%5c', '?', '#']
  const modes: PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']
  let checked = 0
  for (let i = 0; i < 20_000; i++) {
    let target = '/'
    for (let n = random.below(10); n > 0; n--) target += alphabet[random.below(alphabet.length)]
    const mode = modes[random.below(4)]!
    const canonical = canonicalTarget(target, mode)
    if (canonical === '') continue
    checked++
    const path = pathOf(canonical)
    const again = canonicalTarget(canonical, mode)
    const dots = mode !== 'NONE' && path.split('/').some((part) => part === '.' || part === '..')
    if (again !== canonical || dots) t.fail(`${mode} ${target} -> ${canonical} -> ${again}`)
  }
  t.ok(checked > 10_000)
})

t.test('the path of a target ends before query and fragment', async (t) => {
  t.equal(pathOf('/a?b#c'), '/a')
  t.equal(pathOf('/a#c?b'), '/a')
  t.equal(pathOf('/a'), '/a')
})
