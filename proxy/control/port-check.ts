/**
 * Tells before the workers start whether a port is held by somebody else. They listen with
 * SO_REUSEPORT, so that a second proxy of the same user would silently share the traffic instead.
 */
import { createServer } from 'node:net'
import { listenFailure, type PortUse } from './start-failure.ts'

/** Rejects with a StartFailure; port 0 is always free. */
export async function mustBeFree(
  use: PortUse,
  listen: { readonly address: string; readonly port: number },
): Promise<void> {
  if (listen.port === 0) return
  const server = createServer()
  await new Promise<void>((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      failed(listenFailure(error, use, listen.address, listen.port))
    })
    server.listen({ host: listen.address, port: listen.port, exclusive: true }, () => {
      server.close(() => done())
    })
  })
}
