/** The list of fields of one head: what looking up, editing and making one costs. */
import { Headers } from '../../proxy/http/headers.ts'
import { measure } from './measure.ts'

const fields = [
  ['Host', 'reviews:9080'],
  ['User-Agent', 'curl/8.7.1'],
  ['Accept', '*/*'],
  ['Accept-Encoding', 'gzip'],
  ['X-Request-Id', '2f1cf0a6-35b2-4a63-8a4f-7d3f7a9f3a51'],
  ['X-Forwarded-Proto', 'http'],
  ['Cookie', 'session=abcdefgh; theme=dark'],
  ['End-User', 'jason'],
  ['Traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['Cache-Control', 'no-cache'],
] as const

function filled(): Headers {
  const headers = new Headers()
  for (const [name, value] of fields) headers.received(name, value)
  return headers
}

const headers = filled()
let found = 0

measure('ten received fields', 300_000, () => {
  found += filled().length
})
measure('find the tenth by its lower-case name', 1_000_000, () => {
  if (headers.get('cache-control') !== undefined) found++
})
measure('look for one that is not there', 1_000_000, () => {
  if (headers.has('x-envoy-retry-on')) found++
})
measure('set one that is there', 1_000_000, () => {
  headers.set('end-user', 'jason')
})
measure('append and remove', 300_000, () => {
  headers.append('x-envoy-attempt-count', '1')
  if (headers.remove('x-envoy-attempt-count')) found++
})
if (found === 0) console.log('nothing was found')
