/** Something made of files, made again when one of them changes; the last good one stays in force. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'

/** Files are looked at no more often. */
const lookEveryMs = 1_000

export class WatchedFiles<Made> {
  /** Why there is none, or the latest could not be made. */
  problem = ''
  private readonly paths: readonly string[]
  private readonly make: () => Made
  private readonly clock: Clock
  private readonly onStale: (problem: string) => void
  private made: Made | undefined = undefined
  private stamp = ''
  private lookedAt = Number.NEGATIVE_INFINITY

  /** `paths`: `` stands for none. `make` throws where they cannot be used. */
  constructor(
    paths: readonly string[],
    make: () => Made,
    clock: Clock,
    onStale: (problem: string) => void,
  ) {
    this.paths = paths
    this.make = make
    this.clock = clock
    this.onStale = onStale
  }

  /** Undefined: there has never been a good one, see `problem`. */
  current(): Made | undefined {
    if (this.clock.now - this.lookedAt < lookEveryMs) return this.made
    this.lookedAt = this.clock.now
    const stamp = this.paths.map(stampOf).join(' ')
    if (stamp === this.stamp) return this.made
    this.stamp = stamp
    try {
      this.made = this.make()
      this.problem = ''
    } catch (error) {
      this.problem = (error as Error).message
      if (this.made !== undefined) this.onStale(`${this.problem}; the former files stay in force`)
    }
    return this.made
  }
}

function stampOf(path: string): string {
  if (path === '') return '-'
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? 'none' : `${found.ino}/${found.size}/${found.mtimeMs}`
}

/** `field`: who names the file, for the complaint. */
export function readNamed(path: string, field: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    throw new TypeError(`${field} ${path} cannot be read: ${code}`, { cause })
  }
}

const pemOfCertificate =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g

/** Node takes what it can read of such a file and says nothing about the rest, even if that is all of it. */
export function readAuthorities(path: string): Buffer {
  const bytes = readNamed(path, 'caCertificates')
  const text = bytes.toString('latin1')
  const whole = text.match(pemOfCertificate) ?? []
  const begun = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g) ?? []
  if (begun.length === 0) throw new TypeError(`caCertificates ${path} holds no certificate (PEM)`)
  if (whole.length < begun.length || !whole.every(isCertificate))
    throw new TypeError(`caCertificates ${path} holds a certificate that cannot be read`)
  return bytes
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}
