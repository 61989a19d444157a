/** What the four small services share: a JSON server and calls that pass the caller's identity on. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export interface Reply {
  readonly status?: number
  readonly type?: string
  readonly body: unknown
}

export type Route = (path: string, request: IncomingMessage) => Promise<Reply> | Reply

/** Headers an application in a mesh must copy to its own calls: who is asking, and the trace. */
const passedOn = ['end-user', 'x-request-id', 'traceparent', 'tracestate', 'user-agent']

export function callerHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of passedOn) {
    const value = request.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

/** GET of a JSON document from another service; the status is told, never thrown. */
export async function call(
  url: string,
  request: IncomingMessage,
): Promise<{ status: number; body: unknown; why: string }> {
  try {
    const reply = await fetch(url, { headers: callerHeaders(request), redirect: 'manual' })
    const text = await reply.text()
    const json = reply.headers.get('content-type')?.includes('json') === true
    return { status: reply.status, body: json ? JSON.parse(text) : text, why: text }
  } catch (error) {
    return { status: 0, body: undefined, why: String((error as Error).cause ?? error) }
  }
}

/** Serves `route` on `listen` (`address:port`) until the process ends. */
export function serve(name: string, listen: string, route: Route): void {
  const at = listen.lastIndexOf(':')
  const host = listen.slice(0, at).replace(/^\[|\]$/g, '')
  const server = createServer((request, response) => {
    answer(route, request, response).catch((error) => {
      response.statusCode = 500
      response.end(`${error}\n`)
    })
  })
  server.listen(Number(listen.slice(at + 1)), host, () =>
    console.log(`${name} serves on ${listen}`),
  )
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))
}

async function answer(route: Route, request: IncomingMessage, response: ServerResponse) {
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  const reply = path === '/health' ? { body: { status: 'healthy' } } : await route(path, request)
  const type = reply.type ?? 'application/json'
  const text = type === 'application/json' ? JSON.stringify(reply.body) : String(reply.body)
  response.writeHead(reply.status ?? 200, { 'content-type': type })
  response.end(text)
}
