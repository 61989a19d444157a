/** Making up a request id. */
import { requestId } from '../../proxy/http/request-id.ts'
import { measure } from './measure.ts'

let used = 0
measure('crypto.randomUUID', 200_000, () => {
  used += crypto.randomUUID().length
})
measure('requestId', 200_000, () => {
  used += requestId().length
})
if (used === 0) console.log('nothing was made')
