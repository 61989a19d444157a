import t from 'tap'
import { requestId } from '../../proxy/http/request-id.ts'

t.test('request ids are UUIDs of version 4, and no two are alike', async (t) => {
  const seen = new Set<string>()
  const version4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  let wrong = ''
  for (let i = 0; i < 10_000; i++) {
    const id = requestId()
    if (!version4.test(id)) wrong = id
    seen.add(id)
  }
  t.equal(wrong, '')
  t.equal(seen.size, 10_000)
})

t.test('every free bit of an id takes both values about equally often', async (t) => {
  const ones = new Uint32Array(128)
  const rounds = 4_000
  for (let i = 0; i < rounds; i++) {
    const digits = requestId().replaceAll('-', '')
    for (let d = 0; d < 32; d++)
      for (let bit = 0; bit < 4; bit++)
        ones[d * 4 + bit]! += (Number.parseInt(digits[d]!, 16) >> (3 - bit)) & 1
  }
  const fixed = [48, 49, 50, 51, 64, 65]
  // Six standard deviations: one run in a million misses by chance.
  const most = 6 * Math.sqrt(rounds / 4)
  const uneven = [...ones.keys()].filter(
    (bit) => !fixed.includes(bit) && Math.abs(ones[bit]! - rounds / 2) > most,
  )
  t.same(uneven, [])
})
