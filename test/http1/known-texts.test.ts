import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { KnownTexts } from '../../proxy/http1/known-texts.ts'

t.test('texts are what Buffer makes of the bytes, whoever shares their slot', async (t) => {
  const random = new Random(11)
  const texts = new KnownTexts()
  // Few letters and lengths: many texts of one slot.
  for (let i = 0; i < 50_000; i++) {
    const bytes = Buffer.alloc(80)
    for (let at = 0; at < bytes.length; at++) bytes[at] = 250 + random.below(4)
    const start = random.below(10)
    const end = start + random.below(5) * (random.below(20) === 0 ? 16 : 1)
    const found = texts.take(bytes, start, end)
    if (found !== bytes.toString('latin1', start, end)) t.fail(`${found} is not its text`)
  }
  t.equal(texts.take(Buffer.from('Host'), 0, 4), 'Host')
})

t.test('case counts, and bytes of former buffers do not', async (t) => {
  const texts = new KnownTexts()
  const bytes = Buffer.from('accept')
  const first = texts.take(bytes, 0, 6)
  bytes[0] = 65
  t.equal(first, 'accept')
  t.equal(texts.take(bytes, 0, 6), 'Accept')
})
