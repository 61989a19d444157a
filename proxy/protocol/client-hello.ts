/** Reads the server name from a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3) without touching the bytes. */

export interface ClientHello {
  /** Lower case; `` when the client names none. */
  readonly serverName: string
}

/** The hello, `more` when it is not complete yet, or `broken` when it is no ClientHello. */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | 'broken' {
  const record = joinRecords(bytes)
  if (record === 'more' || record === 'broken') return record
  if (record[0] !== 1) return 'broken'
  try {
    return { serverName: serverNameOf(record) }
  } catch (error) {
    if (error instanceof RangeError) return 'broken'
    throw error
  }
}

/** A hello may be split over several records; large ones (post-quantum keys) are. */
function joinRecords(bytes: Buffer): Buffer | 'more' | 'broken' {
  const parts: Buffer[] = []
  let at = 0
  let have = 0
  let wanted = 4
  while (have < wanted) {
    if (bytes.length < at + 5) return 'more'
    if (bytes[at] !== 0x16 || bytes[at + 1] !== 3) return 'broken'
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > 16_640) return 'broken'
    if (bytes.length < at + 5 + length) return 'more'
    parts.push(bytes.subarray(at + 5, at + 5 + length))
    have += length
    at += 5 + length
    const joined = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    if (have >= 4) wanted = 4 + joined.readUIntBE(1, 3)
    if (wanted > 65_536) return 'broken'
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

function serverNameOf(hello: Buffer): string {
  let at = 4 + 2 + 32
  at += 1 + hello.readUInt8(at) // session id
  at += 2 + hello.readUInt16BE(at) // cipher suites
  at += 1 + hello.readUInt8(at) // compression methods
  if (at >= hello.length) return ''
  const end = at + 2 + hello.readUInt16BE(at)
  at += 2
  while (at + 4 <= end) {
    const type = hello.readUInt16BE(at)
    const length = hello.readUInt16BE(at + 2)
    if (type === 0) return hostName(hello, at + 4)
    at += 4 + length
  }
  return ''
}

/** server_name_list: length, then type 0, length, name. */
function hostName(hello: Buffer, at: number): string {
  if (hello.readUInt8(at + 2) !== 0) return ''
  const length = hello.readUInt16BE(at + 3)
  return hello.toString('latin1', at + 5, at + 5 + length).toLowerCase()
}
