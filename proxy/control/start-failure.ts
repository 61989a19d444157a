/** A start that cannot succeed, told in one sentence that names the cure; the command line prints it and exits. */
import { findPortOwner } from './port-owner.ts'

export class StartFailure extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StartFailure'
    this.exitCode = exitCode
  }
}

/** What one port is for, in words of the user: `outbound`, `--outbound-port`. */
export interface PortUse {
  readonly what: string
  /** How to choose another port; `` when the port follows from the configuration. */
  readonly option: string
}

/** The system's error from bind or listen, as a sentence: who holds the port, and what to do. */
export function listenFailure(
  error: NodeJS.ErrnoException,
  use: PortUse,
  address: string,
  port: number,
): StartFailure {
  const place = `the ${use.what} port ${port} on ${address}`
  return new StartFailure(`cannot listen on ${place}: ${reason(error, use, port)}`, 1, error)
}

function reason(error: NodeJS.ErrnoException, use: PortUse, port: number): string {
  const other = use.option === '' ? '' : `choose another port with ${use.option}`
  switch (error.code) {
    case 'EADDRINUSE': {
      const owner = findPortOwner(port)
      const who =
        owner === undefined ? 'another program' : `process ${owner.pid} (${owner.command})`
      return `${who} listens there already; stop it${other === '' ? '' : ` or ${other}`}`
    }
    case 'EACCES':
      return `ports below 1024 need root or CAP_NET_BIND_SERVICE${other === '' ? '' : `; ${other}`}`
    case 'EADDRNOTAVAIL':
      return 'no interface of this machine (or network namespace) has that address'
    case 'EAFNOSUPPORT':
      return 'IPv6 is switched off on this machine; use an IPv4 address'
    default:
      return error.message
  }
}
