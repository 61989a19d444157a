/** details: facts about one book. */
import { serve } from './serve.ts'

serve('details', process.argv[2] ?? '127.0.0.1:9080', (path) => {
  const id = /^\/details\/(\d+)$/.exec(path)?.[1]
  if (id === undefined) return { status: 404, body: { error: `no such thing: ${path}` } }
  return {
    body: {
      id: Number(id),
      title: 'The Comedy of Errors',
      author: 'William Shakespeare',
      year: 1595,
      type: 'paperback',
      pages: 200,
    },
  }
})
