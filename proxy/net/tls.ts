/**
 * TLS of the client towards upstreams: what to show, whom to believe, and in plain words why a
 * handshake failed. Certificates are files, read again when they change.
 */
import { readFileSync, statSync } from 'node:fs'
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

/** Files are looked at no more often. */
const lookEveryMs = 1_000
const mostSessions = 1_000

export class ClientTls {
  private readonly settings: ClientTlsSettings
  private readonly clock: Clock
  /** Who asks for TLS: `DestinationRule default/web (rules.yaml:12)`. */
  private readonly askedBy: () => string
  /** New files cannot be used, and the former ones stay in force. */
  private readonly onStale: (problem: string) => void
  private context: SecureContext | undefined = undefined
  private problem = ''
  private stamp = ''
  private lookedAt = Number.NEGATIVE_INFINITY
  private readonly sessions = new Map<string, Buffer>()

  constructor(
    settings: ClientTlsSettings,
    clock: Clock,
    askedBy: () => string,
    onStale: (problem: string) => void = () => undefined,
  ) {
    this.settings = settings
    this.clock = clock
    this.askedBy = askedBy
    this.onStale = onStale
  }

  /** For tls.connect, or the sentence why there can be no connection. `place` tells sessions apart. */
  optionsFor(serverName: string, place: string): ConnectionOptions | string {
    const { unusable, verify } = this.settings
    if (unusable !== '') return `${unusable}; ${this.reference}`
    this.refresh()
    if (this.context === undefined) return `${this.problem}; ${this.reference}`
    const session = this.sessions.get(`${serverName} ${place}`)
    return {
      secureContext: this.context,
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

  private refresh(): void {
    if (this.clock.now - this.lookedAt < lookEveryMs) return
    this.lookedAt = this.clock.now
    const stamp = this.stampNow()
    if (stamp === this.stamp) return
    this.stamp = stamp
    try {
      this.context = createSecureContext(this.material())
      this.problem = ''
      this.sessions.clear()
    } catch (error) {
      this.problem = (error as Error).message
      if (this.context !== undefined)
        this.onStale(`${this.problem}; the former files stay in force; ${this.reference}`)
    }
  }

  private stampNow(): string {
    const { caCertificates, caCrl, clientCertificate, privateKey } = this.settings
    return [caCertificates, caCrl, clientCertificate, privateKey].map(stampOf).join(' ')
  }

  private material(): SecureContextOptions {
    const { caCertificates, caCrl, clientCertificate, privateKey } = this.settings
    const ca =
      caCertificates === '' ? systemAuthorities() : readPem(caCertificates, 'caCertificates')
    return {
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
      ...(caCrl === '' ? {} : { crl: readPem(caCrl, 'caCrl') }),
      ...(clientCertificate === ''
        ? {}
        : { cert: readPem(clientCertificate, 'clientCertificate') }),
      ...(privateKey === '' ? {} : { key: readPem(privateKey, 'privateKey') }),
    }
  }
}

function stampOf(path: string): string {
  if (path === '') return '-'
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? 'none' : `${found.ino}/${found.size}/${found.mtimeMs}`
}

function readPem(path: string, field: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    throw new TypeError(`${field} ${path} cannot be read: ${code}`, { cause })
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

const verifyReasons: Readonly<Record<string, string>> = {
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
