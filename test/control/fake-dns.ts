/** A name server on loopback (RFC 1035) for tests: answers A, AAAA and CNAME from a table, or fails. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'

export interface FakeRecord {
  /** An IPv4 address, an IPv6 address of eight groups, or the alias' target. */
  readonly value: string
  readonly ttl: number
}

export interface FakeDns {
  /** `127.0.0.1:port` */
  readonly address: string
  /** By name; an absent name is NXDOMAIN, `fail` is SERVFAIL. */
  readonly records: Map<string, FakeRecord[] | 'fail'>
  /** Every question, `A name`. */
  readonly asked: string[]
  [Symbol.asyncDispose](): Promise<void>
}

const types = { A: 1, CNAME: 5, AAAA: 28 } as const

export async function startFakeDns(): Promise<FakeDns> {
  const records: FakeDns['records'] = new Map()
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (question, from) => {
    const { name, type, end } = readQuestion(question)
    asked.push(`${type === types.AAAA ? 'AAAA' : 'A'} ${name}`)
    const known = records.get(name)
    const answers = known === undefined || known === 'fail' ? [] : answersFor(records, name, type)
    const code = known === undefined ? 3 : known === 'fail' ? 2 : 0
    const head = Buffer.from(question.subarray(0, 12))
    head.writeUInt16BE(0x8180 | code, 2)
    head.writeUInt16BE(answers.length, 6)
    head.writeUInt32BE(0, 8)
    socket.send(
      Buffer.concat([head, question.subarray(12, end), ...answers]),
      from.port,
      from.address,
    )
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const address = `127.0.0.1:${socket.address().port}`
  const close = (): Promise<void> => new Promise((done) => socket.close(done))
  return { address, records, asked, [Symbol.asyncDispose]: close }
}

function readQuestion(bytes: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join('.').toLowerCase(), type: bytes.readUInt16BE(at + 1), end: at + 5 }
}

function answersFor(records: FakeDns['records'], name: string, type: number): Buffer[] {
  const found = records.get(name)
  if (found === undefined || found === 'fail') return []
  return found.flatMap(({ value, ttl }) => {
    if (isIPv4(value)) return type === types.A ? [record(name, types.A, ttl, ipv4(value))] : []
    if (value.includes(':'))
      return type === types.AAAA ? [record(name, types.AAAA, ttl, ipv6(value))] : []
    return [record(name, types.CNAME, ttl, encodeName(value)), ...answersFor(records, value, type)]
  })
}

function record(name: string, type: number, ttl: number, body: Buffer): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(body.length, 8)
  return Buffer.concat([encodeName(name), fixed, body])
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
  return Buffer.concat([...labels, Buffer.from([0])])
}

function ipv4(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number))
}

function ipv6(text: string): Buffer {
  const bytes = Buffer.alloc(16)
  for (const [i, group] of text.split(':').entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2)
  return bytes
}
