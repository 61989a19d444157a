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
  try {
    await tryPort(listen.address, listen.port)
  } catch (error) {
    throw listenFailure(error as NodeJS.ErrnoException, use, listen.address, listen.port)
  }
}

/** A port nobody holds at the moment, for listeners that must agree on it before they open. */
export function freePort(address: string): Promise<number> {
  return tryPort(address, 0)
}

/** The same in every worker: a bind on port 0 gets a port, another one must be free. */
export async function fixedBind<
  Bind extends {
    readonly service: string
    readonly port: number
    readonly listen: { readonly address: string; readonly port: number }
  },
>(bind: Bind): Promise<Bind> {
  const { address, port } = bind.listen
  if (port === 0) return { ...bind, listen: { address, port: await freePort(address) } }
  await mustBeFree({ what: `${bind.service}:${bind.port}`, option: '--bind' }, bind.listen)
  return bind
}

/** Every address of both families, or of IPv4 where IPv6 is switched off. */
export async function everyAddress(): Promise<'::' | '0.0.0.0'> {
  try {
    await tryPort('::', 0)
    return '::'
  } catch {
    return '0.0.0.0'
  }
}

function tryPort(host: string, port: number): Promise<number> {
  const server = createServer()
  return new Promise((done, failed) => {
    server.once('error', failed)
    server.listen({ host, port, exclusive: true }, () => {
      const bound = server.address()
      server.close(() => done(typeof bound === 'object' ? (bound?.port ?? port) : port))
    })
  })
}
