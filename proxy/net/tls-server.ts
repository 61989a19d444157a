/** TLS towards clients: the proxy shows a certificate and, if asked to, judges theirs. */
import { createHash, randomBytes } from 'node:crypto'
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type SecureVersion,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { Side } from '../base/errors.ts'
import type { Connection } from './connection.ts'
import { ConnectionStream } from './connection-stream.ts'
import { SocketConnection } from './socket-connection.ts'
import { verifyReasons } from './tls.ts'
import { readAuthorities, readNamed, WatchedFiles } from './watched-files.ts'

export interface ServerTlsSettings {
  readonly serverCertificate: string
  readonly privateKey: string
  /** `` where clients need none. */
  readonly caCertificates: string
  readonly caCrl: string
  readonly clients: 'none' | 'optional' | 'required'
  /** False: any certificate of a client will do. */
  readonly verify: boolean
  /** SHA-256 of the certificates, or of their public keys, that are accepted; both empty: all. */
  readonly certificateHashes: readonly string[]
  readonly keyHashes: readonly string[]
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
  /** Empty: the usual ones. */
  readonly cipherSuites: readonly string[]
}

export interface Handshaking {
  /** The same connection without its TLS. Call receiveWith before returning. */
  onSecured(connection: Connection): void
  onRefused(why: string): void
}

const handshakeMs = 10_000

export class ServerTls {
  private readonly settings: ServerTlsSettings
  private readonly options: WatchedFiles<TlsOptions>
  /** Sessions go on from one connection to the next. */
  private readonly ticketKeys = randomBytes(48)

  constructor(settings: ServerTlsSettings, clock: Clock, onStale: (problem: string) => void) {
    const { caCertificates, caCrl, privateKey, serverCertificate } = settings
    this.settings = settings
    const paths = [serverCertificate, privateKey, caCertificates, caCrl]
    this.options = new WatchedFiles(paths, () => this.makeOptions(), clock, onStale)
  }

  /** `connection`: just accepted, nothing was read from it. */
  accept(connection: Connection, owner: Handshaking): void {
    const options = this.options.current()
    if (options === undefined) {
      owner.onRefused(this.options.problem)
      return
    }
    // Asked for while there is a socket that knows it: whoever is refused has none any more.
    void connection.remote
    // One server for each connection: its events do not tell which one they are about.
    const server = createServer(options)
    server.on('secureConnection', (socket) => {
      const why = this.objection(socket)
      if (why === undefined) this.secured(socket, connection, owner)
      else {
        socket.destroy()
        owner.onRefused(why)
      }
    })
    server.on('tlsClientError', (error, socket) => {
      const { code = '', message, reason } = error as NodeJS.ErrnoException & { reason?: string }
      socket.destroy()
      owner.onRefused(`${reason ?? message} (${code})`)
    })
    const stream = new ConnectionStream(connection)
    // Told by the server as well.
    stream.on('error', () => undefined)
    server.emit('connection', stream)
  }

  private secured(socket: TLSSocket, base: Connection, owner: Handshaking): void {
    const connection = new SocketConnection(Side.Downstream, base.originalDestination)
    connection.standFor(base)
    connection.secured = true
    connection.attach(socket, true)
    owner.onSecured(connection)
  }

  private makeOptions(): TlsOptions {
    const { caCertificates, caCrl, clients, cipherSuites, privateKey, serverCertificate } =
      this.settings
    const material: SecureContextOptions = {
      cert: readNamed(serverCertificate, 'serverCertificate'),
      key: readNamed(privateKey, 'privateKey'),
      ...(caCertificates === '' ? {} : { ca: readAuthorities(caCertificates) }),
      ...(caCrl === '' ? {} : { crl: readNamed(caCrl, 'caCrl') }),
      ...(cipherSuites.length === 0 ? {} : { ciphers: cipherSuites.join(':') }),
      minVersion: this.settings.minVersion,
      maxVersion: this.settings.maxVersion,
    }
    // Throws what is wrong with it.
    createSecureContext(material)
    return {
      ...material,
      requestCert: clients !== 'none',
      // Judged when the handshake is over, so that the reason can be told.
      rejectUnauthorized: false,
      handshakeTimeout: handshakeMs,
      ticketKeys: this.ticketKeys,
    }
  }

  /** Why this client is not let in. */
  private objection(socket: TLSSocket): string | undefined {
    const { certificateHashes, clients, keyHashes, verify } = this.settings
    if (clients === 'none') return undefined
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined)
      return clients === 'required' ? 'the client shows no certificate' : undefined
    if (verify && !socket.authorized) return unbelieved(socket)
    if (certificateHashes.length + keyHashes.length === 0) return undefined
    const whole = createHash('sha256').update(certificate.raw).digest('hex')
    const key = certificate.publicKey.export({ type: 'spki', format: 'der' })
    const known =
      certificateHashes.some((hash) => hash.replaceAll(':', '').toLowerCase() === whole) ||
      keyHashes.includes(createHash('sha256').update(key).digest('base64'))
    return known ? undefined : 'its certificate is none of those listed by hash'
  }
}

function unbelieved(socket: TLSSocket): string {
  const code = String(socket.authorizationError)
  const why = verifyReasons[code]
  return why === undefined ? `its certificate: ${code}` : `its certificate: ${why} (${code})`
}
