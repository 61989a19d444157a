/** Certificates for tests, made on the spot: a DER writer just large enough for X.509 (RFC 5280). */
import {
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIPv4 } from 'node:net'

export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface CertificateOptions {
  /** DNS names, addresses, or URIs such as spiffe://... */
  readonly names?: readonly string[]
  readonly commonName?: string
  /** Milliseconds since 1970. */
  readonly notAfter?: number
}

const day = 86_400_000
const oids = {
  ecdsaSha256: '06082a8648ce3d040302',
  commonName: '0603550403',
  basicConstraints: '0603551d13',
  subjectAltName: '0603551d11',
}

/** An authority of its own: nobody knows it but who is given `cert`. */
export class TestAuthority implements Issued {
  readonly cert: string
  readonly key: string
  private readonly name: string
  private readonly secret: KeyObject

  constructor(name = 'Test CA') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.name = name
    this.secret = privateKey
    this.key = pemOf(privateKey)
    this.cert = this.certificate(publicKey, name, [authority], Date.now() + 10 * day)
  }

  issue({ names = [], commonName = '', notAfter = Date.now() + day }: CertificateOptions): Issued {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const extensions = names.length === 0 ? [] : [alternatives(names)]
    const cert = this.certificate(publicKey, commonName, extensions, notAfter)
    return { cert, key: pemOf(privateKey) }
  }

  /** A revocation list of these certificates. */
  revoke(...certificates: readonly string[]): string {
    const algorithm = sequence(hex(oids.ecdsaSha256))
    const [now, later] = [time(Date.now() - day), time(Date.now() + day)]
    const entries = certificates.map((pem) => {
      const { serialNumber } = new X509Certificate(pem)
      return sequence(tagged(0x02, hex(serialNumber)), now)
    })
    const body = sequence(algorithm, nameOf(this.name), now, later, sequence(...entries))
    return pem('X509 CRL', sequence(body, algorithm, bits(sign('sha256', body, this.secret))))
  }

  private certificate(
    publicKey: KeyObject,
    subject: string,
    extensions: readonly Buffer[],
    notAfter: number,
  ): string {
    const algorithm = sequence(hex(oids.ecdsaSha256))
    const parts = [
      tagged(0xa0, tagged(0x02, Buffer.from([2]))),
      tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      algorithm,
      nameOf(this.name),
      sequence(time(Date.now() - 2 * day), time(notAfter)),
      nameOf(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
    ]
    if (extensions.length > 0) parts.push(tagged(0xa3, sequence(...extensions)))
    const body = sequence(...parts)
    const signature = bits(sign('sha256', body, this.secret))
    return pem('CERTIFICATE', sequence(body, algorithm, signature))
  }
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

function bits(content: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), content]))
}

function nameOf(text: string): Buffer {
  if (text === '') return sequence()
  const value = tagged(0x0c, Buffer.from(text))
  return sequence(tagged(0x31, sequence(hex(oids.commonName), value)))
}

/** UTCTime, good until 2049. */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/\D/g, '').slice(2, 14)
  return tagged(0x17, Buffer.from(`${digits}Z`))
}

const authority = sequence(
  hex(oids.basicConstraints),
  hex('0101ff'),
  tagged(0x04, sequence(hex('0101ff'))),
)

function alternatives(names: readonly string[]): Buffer {
  const general = names.map((name) => {
    if (isIPv4(name)) return tagged(0x87, Buffer.from(name.split('.').map(Number)))
    return tagged(name.includes('://') ? 0x86 : 0x82, Buffer.from(name))
  })
  return sequence(hex(oids.subjectAltName), tagged(0x04, sequence(...general)))
}
