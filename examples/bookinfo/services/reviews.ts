/**
 * reviews: v1 shows no stars, v2 black ones, v3 red ones; v2 and v3 ask ratings.
 *   node reviews.ts ADDRESS:PORT VERSION [RATINGS_URL]
 */
import { call, serve } from './serve.ts'

const [listen = '127.0.0.1:9080', version = 'v1', ratings = 'http://ratings:9080'] =
  process.argv.slice(2)
const color = version === 'v2' ? 'black' : 'red'
const texts = [
  ['Reviewer1', 'An extremely entertaining play. The mix-ups never end.'],
  ['Reviewer2', 'Fun, but thin beside the later plays.'],
] as const

serve(`reviews ${version}`, listen, async (path, request) => {
  const id = /^\/reviews\/(\d+)$/.exec(path)?.[1]
  if (id === undefined) return { status: 404, body: { error: `no such thing: ${path}` } }
  const stars = version === 'v1' ? undefined : await starsOf(`${ratings}/ratings/${id}`, request)
  const reviews = texts.map(([reviewer, text]) => {
    if (stars === undefined) return { reviewer, text }
    const rating = typeof stars === 'string' ? { error: stars } : { stars: stars[reviewer], color }
    return { reviewer, text, rating }
  })
  return { body: { id, version, reviews } }
})

async function starsOf(url: string, request: Parameters<typeof call>[1]) {
  const reply = await call(url, request)
  if (reply.status !== 200) return `ratings are not available (${reply.status} ${reply.why.trim()})`
  return (reply.body as { ratings: Record<string, number> }).ratings
}
