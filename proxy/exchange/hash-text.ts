/** What consistent hashing goes by in one exchange, and the cookie that is made where it asks for one. */
import type { HashKeySpec } from '../../config/snapshot.ts'
import { Hash64, xxHash64 } from '../base/xx-hash.ts'
import type { ServerStream } from '../http/codec.ts'
import { cookieValue } from '../http/cookies.ts'
import { formatAddress } from '../net/address.ts'
import { firstParameter } from '../routing/predicates.ts'

type CookieKey = Extract<HashKeySpec, { kind: 'cookie' }>

export class HashText {
  /** For the reply's Set-Cookie; `` when none was made. */
  setCookie = ''
  private readonly stream: ServerStream
  private madeValue: string | undefined = undefined

  constructor(stream: ServerStream) {
    this.stream = stream
  }

  /** Undefined: the request has none. The same for every try. */
  of(key: HashKeySpec): string | undefined {
    const { connection, head } = this.stream
    switch (key.kind) {
      case 'header': {
        const values = head.headers.all(key.name)
        return values.length < 2 ? values[0] : values.sort().join()
      }
      case 'cookie':
        return cookieValue(head.headers, key.name) ?? this.make(key)
      case 'source-ip':
        return connection.remote.address
      case 'query':
        return firstParameter(head.target, key.name)
    }
  }

  /** As Envoy: requests of one connection that race get the same cookie. */
  private make({ name, made }: CookieKey): string | undefined {
    if (made === undefined || this.madeValue !== undefined) return this.madeValue
    const { local, remote } = this.stream.connection
    const hash = new Hash64()
    xxHash64(formatAddress(remote) + formatAddress(local), hash)
    this.madeValue = hash.toString()
    this.setCookie = `${name}="${this.madeValue}"${made}`
    return this.madeValue
  }
}
