import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { ResponseHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { replyText } from '../../proxy/http1/write-head.ts'
import { headersOf, lines } from '../support/recorders.ts'

t.test('names are found in any case, values kept in order and case', async (t) => {
  const headers = headersOf('Set-Cookie: a', 'X-B: 1', 'set-cookie: b', 'SET-COOKIE: c')
  t.strictSame(headers.all('set-cookie'), ['a', 'b', 'c'])
  t.equal(headers.get('x-b'), '1')
  t.equal(headers.get('x-c'), undefined)
  t.ok(headers.has('set-cookie'))
  t.notOk(headers.has('set-cookie2'))
  t.equal(headers.indexOf('set-cookie', 1), 2)
  t.equal(headers.length, 4)
})

t.test('set replaces all of a name at the place of the first', async (t) => {
  const headers = headersOf('A: 1', 'B: 2', 'a: 3', 'C: 4', 'A: 5')
  headers.set('a', '9')
  t.strictSame(lines(headers), ['A: 9', 'B: 2', 'C: 4'])
  headers.set('D', '1')
  t.strictSame(lines(headers), ['A: 9', 'B: 2', 'C: 4', 'D: 1'])
})

t.test('remove takes all of a name and says whether there were any', async (t) => {
  const headers = headersOf('A: 1', 'a: 2', 'B: 3', 'A: 4')
  t.ok(headers.remove('a'))
  t.notOk(headers.remove('a'))
  t.strictSame(lines(headers), ['B: 3'])
})

t.test('what could break a head cannot get in', async (t) => {
  const headers = new Headers()
  headers.append('A', 'x\r\nInjected: 1\0\x7f')
  headers.set('B', 'caf\u00e9 \u2713 \u010a')
  t.equal(headers.get('a'), 'x  Injected: 1  ')
  const b = headers.get('b') ?? ''
  t.equal(Buffer.from(b, 'latin1').toString('utf8'), 'café ✓ Ċ')
  t.ok([...b].every((c) => c.charCodeAt(0) < 256))
  t.equal(headersOf('A: caf\xe9').get('a'), 'caf\xe9', 'latin1 stays as it is')
  const names: Array<[given: string, kept: string]> = [
    ['', '_'],
    ['a b', 'a_b'],
    ['a:b', 'a_b'],
    ['a\r\nb', 'a__b'],
    ['\u010a', '_'],
    ["!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ"],
  ]
  for (const [given, kept] of names) {
    const one = new Headers()
    one.append(given, '1')
    t.strictSame(one.names, [kept])
  }
})

t.test('wire lines are forgotten with the first change they cover, and only then', async (t) => {
  const make = (): Headers => {
    const headers = headersOf('A: 1', 'B: 2')
    headers.wire = 'A: 1\r\nB: 2\r\n'
    headers.wireFields = 2
    return headers
  }
  const table: Array<[change: (headers: Headers) => void, kept: boolean]> = [
    [(h) => h.append('C', '3'), true],
    [(h) => h.set('C', '3'), true],
    [(h) => h.remove('c'), true],
    [(h) => h.set('b', '3'), false],
    [(h) => h.remove('a'), false],
  ]
  for (const [change, kept] of table) {
    const headers = make()
    change(headers)
    t.equal(headers.wireFields, kept ? 2 : 0)
    t.equal(headers.wire === '', !kept)
  }
  const headers = make()
  headers.append('C', '3')
  headers.set('C', '4')
  t.equal(headers.wireFields, 2, 'C is not among them')
})

t.test('a list behaves as a plain array of pairs does', async (t) => {
  const random = new Random(7)
  const names = ['a', 'A', 'b', 'B', 'cc', 'cC']
  for (let round = 0; round < 300; round++) {
    const headers = new Headers()
    let plain: Array<[string, string]> = []
    for (let step = 0; step < 12; step++) {
      const name = names[random.below(names.length)]!
      const lower = name.toLowerCase()
      const value = `${random.below(10)}`
      const same = ([n]: [string, string]): boolean => n.toLowerCase() === lower
      switch (random.below(3)) {
        case 0:
          headers.append(name, value)
          plain.push([name, value])
          break
        case 1:
          headers.remove(lower)
          plain = plain.filter((pair) => !same(pair))
          break
        default: {
          const first = plain.findIndex(same)
          headers.set(name, value)
          if (first < 0) plain.push([name, value])
          else {
            plain[first] = [plain[first]![0], value]
            plain = plain.filter((pair, i) => i <= first || !same(pair))
          }
        }
      }
    }
    t.strictSame(
      lines(headers),
      plain.map(([n, v]) => `${n}: ${v}`),
    )
  }
})

t.test('the text that is sent is that of the fields, whatever was done to them', async (t) => {
  const random = new Random(5)
  const names = ['a', 'B', 'x-long-name']
  for (let round = 0; round < 2_000; round++) {
    const headers = new Headers()
    // As the codecs leave a head that may be passed on as it came.
    if (random.below(2) === 0) {
      headers.received('Host', 'h')
      headers.received('a', '1')
      headers.wire = 'Host: h\r\na: 1\r\n'
      headers.wireFields = 2
    }
    for (let step = random.below(6); step >= 0; step--) {
      const name = names[random.below(names.length)]!
      const value = `v${step}`
      const kind = random.below(4)
      if (kind === 0) headers.append(name, value)
      else if (kind === 1) headers.appendLine(name, value, `${name}: ${value}\r\n`)
      else if (kind === 2) headers.set(name, value)
      else headers.remove(name.toLowerCase())
    }
    const lines = headers.names.map((name, i) => `${name}: ${headers.values[i]}\r\n`)
    const sent = replyText(new ResponseHead(200, 'OK', 11, headers), '', false)
    if (sent !== `HTTP/1.1 200 OK\r\n${lines.join('')}\r\n`) t.fail(`${sent} is not ${lines}`)
  }
  t.end()
})
