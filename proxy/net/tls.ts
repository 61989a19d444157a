/**
 * TLS of the client towards upstreams: what to show, whom to believe, and in plain words why a
 * handshake failed. Certificates are files, read again when they change.
 */
import { isIP } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { readAuthorities, readNamed, WatchedFiles } from './watched-files.ts'

export interface ClientTlsSettings {
  /** One of them must be in the certificate; empty: the name of the server must be. */
  readonly subjectAltNames: readonly string[]
  /** Files; `` for the system's authorities, or none. */
  readonly caCertificates: string
  readonly caCrl: string
  readonly clientCertificate: string
  readonly privateKey: string
  /** False: any certificate will do. */
  readonly verify: boolean
  /** Why there can be no connection, or ``. */
  readonly unusable: string
}

/** What a dial needs for one server name. */
export interface TlsTarget {
  readonly tls: ClientTls
  /** Asked for (SNI, unless it is an address) and looked for in the certificate; `` for neither. */
  readonly serverName: string
}

const mostSessions = 1_000

export class ClientTls {
  private readonly settings: ClientTlsSettings
  /** Who asks for TLS: `DestinationRule default/web (rules.yaml:12)`. */
  private readonly askedBy: () => string
  private readonly context: WatchedFiles<SecureContext>
  private readonly sessions = new Map<string, Buffer>()

  /** `onStale`: new files cannot be used, and the former ones stay in force. */
  constructor(
    settings: ClientTlsSettings,
    clock: Clock,
    askedBy: () => string,
    onStale: (problem: string) => void = () => undefined,
  ) {
    const { caCertificates, caCrl, clientCertificate, privateKey } = settings
    this.settings = settings
    this.askedBy = askedBy
    const paths = [caCertificates, caCrl, clientCertificate, privateKey]
    const make = (): SecureContext => {
      const context = createSecureContext(this.material())
      this.sessions.clear()
      return context
    }
    const stale = (problem: string): void => onStale(`${problem}; ${this.reference}`)
    this.context = new WatchedFiles(paths, make, clock, stale)
  }

  /** For tls.connect, or the sentence why there can be no connection. `place` tells sessions apart. */
  optionsFor(serverName: string, place: string): ConnectionOptions | string {
    const { unusable, verify } = this.settings
    if (unusable !== '') return `${unusable}; ${this.reference}`
    const context = this.context.current()
    if (context === undefined) return `${this.context.problem}; ${this.reference}`
    const session = this.sessions.get(`${serverName} ${place}`)
    return {
      secureContext: context,
      servername: isIP(serverName) === 0 ? serverName : '',
      rejectUnauthorized: verify,
      checkServerIdentity: (_host, certificate) => this.judge(serverName, certificate),
      ...(session === undefined ? {} : { session }),
    }
  }

  /** A session that later connections may continue. */
  keepSession(serverName: string, place: string, session: Buffer): void {
    const key = `${serverName} ${place}`
    this.sessions.delete(key)
    if (this.sessions.size >= mostSessions) this.sessions.delete(this.sessions.keys().next().value!)
    this.sessions.set(key, session)
  }

  /** Why the handshake with `server` (for people) failed. */
  explain(server: string, cause: NodeJS.ErrnoException): string {
    const code = cause.code ?? ''
    const why = verifyReasons[code]
    if (why !== undefined || code === nameCode)
      return `the certificate of ${server} does not verify: ${why ?? cause.message} (${code}); ${this.reference}`
    const reason = handshakeReasons[code] ?? cause.message
    return `no TLS connection to ${server}: ${reason} (${code}); ${this.reference}`
  }

  private get reference(): string {
    return `TLS is asked for by ${this.askedBy()}`
  }

  /** Undefined: the certificate is one that was asked for. */
  private judge(serverName: string, certificate: PeerCertificate): Error | undefined {
    const { subjectAltNames } = this.settings
    const wanted =
      subjectAltNames.length > 0 ? subjectAltNames : serverName === '' ? [] : [serverName]
    if (wanted.length === 0) return undefined
    if (wanted.some((name) => carries(certificate, name))) return undefined
    const has = certificate.subjectaltname ?? `CN=${certificate.subject?.CN ?? ''}`
    const message = `it is for ${has.replaceAll('DNS:', '')}, not for ${wanted.join(' or ')}`
    return Object.assign(new TypeError(message), { code: nameCode })
  }

  private material(): SecureContextOptions {
    const { caCertificates, caCrl, clientCertificate, privateKey } = this.settings
    const ca = caCertificates === '' ? systemAuthorities() : readAuthorities(caCertificates)
    return {
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
      ...(caCrl === '' ? {} : { crl: readNamed(caCrl, 'caCrl') }),
      ...(clientCertificate === ''
        ? {}
        : { cert: readNamed(clientCertificate, 'clientCertificate') }),
      ...(privateKey === '' ? {} : { key: readNamed(privateKey, 'privateKey') }),
    }
  }
}

let system: string[] | undefined

/** Undefined: the machine has none, Node's own serve. */
function systemAuthorities(): string[] | undefined {
  system ??= getCACertificates('system')
  return system.length === 0 ? undefined : system
}

/** A name of any kind, exact; DNS names of the certificate may have a wildcard (RFC 6125 6.4.3). */
function carries(certificate: PeerCertificate, name: string): boolean {
  const names = (certificate.subjectaltname ?? '').split(', ')
  if (['URI', 'email', 'DNS', 'IP Address'].some((kind) => names.includes(`${kind}:${name}`)))
    return true
  return !name.includes('/') && checkServerIdentity(name, certificate) === undefined
}

const nameCode = 'ERR_TLS_CERT_ALTNAME_INVALID'

export const verifyReasons: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it has signed itself, and nobody trusted has',
  SELF_SIGNED_CERT_IN_CHAIN: 'the authority that signed it is not among the trusted ones',
  UNABLE_TO_GET_ISSUER_CERT: 'an authority of its chain is missing',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the authority that signed it is not among the trusted ones',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the authority that signed it is not among the trusted ones',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_REVOKED: 'it was revoked',
  UNABLE_TO_GET_CRL: 'there is no revocation list of its authority in caCrl',
  CRL_HAS_EXPIRED: 'the revocation list has expired',
  INVALID_PURPOSE: 'it is not for servers',
}

const notTls = 'the server does not speak TLS there'

const handshakeReasons: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
  ECONNRESET: 'the server closed the connection during the handshake',
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'the server does not know the name',
}
