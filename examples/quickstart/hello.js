// The application of the five-minute path: one small server in two versions. Plain JavaScript, any Node runs it.
import { createServer } from 'node:http'

const versions = { v1: 8081, v2: 8082 }
for (const [version, port] of Object.entries(versions))
  createServer((_, reply) => reply.end(`hello from ${version}\n`)).listen(port, '127.0.0.1', () =>
    console.log(`hello ${version} serves on 127.0.0.1:${port}`),
  )
