/** ratings: the stars each reviewer gave. */
import { serve } from './serve.ts'

serve('ratings', process.argv[2] ?? '127.0.0.1:9080', (path) => {
  const id = /^\/ratings\/(\d+)$/.exec(path)?.[1]
  if (id === undefined) return { status: 404, body: { error: `no such thing: ${path}` } }
  return { body: { id: Number(id), ratings: { Reviewer1: 5, Reviewer2: 4 } } }
})
