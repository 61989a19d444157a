/** Heads to text and on to bytes: the writing half of a proxied request. */
import { parsed, parseReplyHead, parseRequestHead } from '../../proxy/http1/parse-head.ts'
import { replyText, requestText } from '../../proxy/http1/write-head.ts'
import { reply, requestHead } from './http1-samples.ts'
import { measure } from './measure.ts'

const limits = { headBytes: 60 * 1024, fields: 100 }
parseRequestHead(requestHead, 0, requestHead.length, limits)
const request = parsed.request!
parseReplyHead(reply, 0, reply.length, limits, { method: 'GET', upgrading: false })
const replyHead = parsed.reply!
/** What the socket does with the text. */
const out = Buffer.alloc(4096)
let sum = 0

measure('request head to text', 200_000, () => {
  sum += requestText(request, '').length
})
measure('request head to text and flattened into bytes', 200_000, () => {
  sum += out.write(requestText(request, ''), 'latin1')
})
measure('reply head to text and flattened into bytes', 200_000, () => {
  sum += out.write(replyText(replyHead, 'content-length: 100\r\n', false), 'latin1')
})
request.headers.set('user-agent', 'changed')
measure('request head with a changed field, into bytes', 200_000, () => {
  sum += out.write(requestText(request, ''), 'latin1')
})
if (sum === 0) console.log('nothing was written')
