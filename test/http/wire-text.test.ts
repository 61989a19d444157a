import t from 'tap'
import { readableText, wireText } from '../../proxy/http/wire-text.ts'

t.test('text becomes one character per byte of its UTF-8, and comes back', async (t) => {
  t.equal(wireText('plain'), 'plain')
  t.equal(wireText('é€'), '\u00c3\u00a9\u00e2\u0082\u00ac')
  t.equal(readableText(wireText('é€ and 😀')), 'é€ and 😀')
})
