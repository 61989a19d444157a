/** The first bytes of a TLS 1.2 client (RFC 5246 7.4.1.2), with or without a server name (RFC 6066 3). */
export function clientHello(serverName: string | undefined): string {
  const extensions = serverName === undefined ? Buffer.alloc(0) : nameExtension(serverName)
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(0)),
    sized(2, Buffer.from([0xc0, 0x2f, 0xc0, 0x30])),
    sized(1, Buffer.from([0])),
    sized(2, extensions),
  ])
  const handshake = Buffer.concat([Buffer.from([1]), sized(3, body)])
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(2, handshake)]).toString('latin1')
}

function nameExtension(serverName: string): Buffer {
  const name = Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(serverName))])
  return Buffer.concat([Buffer.from([0, 0]), sized(2, sized(2, name))])
}

/** `bytes` behind their length in `width` bytes. */
function sized(width: number, bytes: Buffer): Buffer {
  const length = Buffer.alloc(width)
  length.writeUIntBE(bytes.length, 0, width)
  return Buffer.concat([length, bytes])
}
