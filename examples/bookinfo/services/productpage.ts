/**
 * productpage: one page made of details and reviews. `?user=jason` signs a user in (end-user header);
 * /api/v1/products/0 gives the same as JSON.
 *   node productpage.ts ADDRESS:PORT [DETAILS_URL] [REVIEWS_URL]
 */
import { call, serve } from './serve.ts'

const [
  listen = '127.0.0.1:9080',
  details = 'http://details:9080',
  reviews = 'http://reviews:9080',
] = process.argv.slice(2)

interface Book {
  readonly title: string
  readonly author: string
  readonly year: number
}
interface Reviews {
  readonly version: string
  readonly reviews: ReadonlyArray<{
    readonly reviewer: string
    readonly text: string
    readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string }
  }>
}

serve('productpage', listen, async (path, request) => {
  const user = new URL(request.url ?? '/', 'http://page').searchParams.get('user')
  if (user !== null) request.headers['end-user'] = user
  const [book, opinions] = await Promise.all([
    call(`${details}/details/0`, request),
    call(`${reviews}/reviews/0`, request),
  ])
  if (path === '/api/v1/products/0') return { body: { details: book, reviews: opinions } }
  if (path !== '/productpage' && path !== '/')
    return { status: 404, body: { error: `no such thing: ${path}` } }
  const parts = [bookHtml(book), reviewsHtml(opinions)]
  return { type: 'text/html; charset=utf-8', body: page(user ?? 'nobody', parts.join('\n')) }
})

type Answer = Awaited<ReturnType<typeof call>>

function safe(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}

function bookHtml(answer: Answer): string {
  if (answer.status !== 200) return failureHtml('details', answer)
  const book = answer.body as Book
  return `<h1>${safe(book.title)}</h1><p>${safe(book.author)}, ${book.year}</p>`
}

function reviewsHtml(answer: Answer): string {
  if (answer.status !== 200) return failureHtml('reviews', answer)
  const { version, reviews: list } = answer.body as Reviews
  const items = list.map(({ reviewer, text, rating }) => {
    const stars = '★'.repeat(rating?.stars ?? 0)
    const shown = rating?.error ?? stars
    const style = `color:${rating?.color ?? 'gray'}`
    return `<blockquote><p>${safe(text)}</p><cite>${safe(reviewer)} <span style="${style}">${safe(shown)}</span></cite></blockquote>`
  })
  return `<h2>Reviews <small>served by reviews ${safe(version)}</small></h2>${items.join('')}`
}

function failureHtml(service: string, answer: Answer): string {
  return `<h2>${service} could not be asked</h2><pre>${answer.status} ${safe(answer.why)}</pre>`
}

function page(user: string, content: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Bookinfo on Outrider</title>
<style>body{font:16px/1.5 system-ui;max-width:42em;margin:3em auto;padding:0 1em}blockquote{border-left:3px solid #ccc;margin:1em 0;padding:0 1em}</style>
<body><p>Signed in: ${safe(user)}. <a href="?user=jason">jason</a> <a href="/productpage">nobody</a></p>
${content}
</body></html>`
}
