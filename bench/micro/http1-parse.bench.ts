/** Heads from bytes to objects: the reading half of a proxied request. */
import { parsed, parseReplyHead, parseRequestHead } from '../../proxy/http1/parse-head.ts'
import { scanFields, scanRequestLine } from '../../proxy/http1/scan.ts'
import { reply, requestHead } from './http1-samples.ts'
import { measure } from './measure.ts'

const limits = { headBytes: 60 * 1024, fields: 100 }
const asked = { method: 'GET', upgrading: false }
/** Heads lie somewhere in a larger receive buffer. */
const buffer = Buffer.concat([requestHead, reply])
const requestEnd = requestHead.length
let sum = 0

measure(`scan a request head (${requestHead.length} bytes, 10 fields)`, 200_000, () => {
  const at = scanRequestLine(buffer, 0, requestEnd)
  sum += scanFields(buffer, at, requestEnd, 100)
})
measure('parse the same to a RequestHead', 200_000, () => {
  sum += parseRequestHead(buffer, 0, requestEnd, limits)
  sum += parsed.request!.headers.length
})
measure(`parse a reply head (${reply.length - 100} bytes, 9 fields)`, 200_000, () => {
  sum += parseReplyHead(buffer, requestEnd, buffer.length, limits, asked)
  sum += parsed.reply!.headers.length
})
if (sum === 0) console.log('nothing was parsed')
