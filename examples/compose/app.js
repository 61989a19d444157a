// The application of the compose examples, run three times: it says its name, or what the service it calls says.
import { createServer } from 'node:http'

const { CALLS, LISTEN = '0.0.0.0', NAME = 'nobody' } = process.env

createServer(async (_, reply) => {
  try {
    const answer = CALLS === undefined ? `hello from ${NAME}` : await ask(CALLS)
    reply.end(`${answer}\n`)
  } catch (error) {
    reply.writeHead(502).end(`${NAME} cannot ask ${CALLS}: ${error.cause ?? error}\n`)
  }
}).listen(8080, LISTEN)

async function ask(url) {
  const answer = await fetch(url)
  return `${NAME} asked, got ${answer.status}: ${(await answer.text()).trim()}`
}

process.on('SIGTERM', () => process.exit(0))
