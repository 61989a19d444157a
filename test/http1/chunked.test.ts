import t from 'tap'
import { ChunkedReader } from '../../proxy/http1/chunked.ts'
import { Fault } from '../../proxy/http1/faults.ts'

/** Data, and where the trailers begin; or the fault. */
function read(text: string, cut: number): { data: string; rest: string; fault: Fault | 0 } {
  const reader = new ChunkedReader()
  let data = ''
  let rest = ''
  for (const piece of [text.slice(0, cut), text.slice(cut)]) {
    const bytes = Buffer.from(piece, 'latin1')
    let at = 0
    while (at < bytes.length && !reader.atTrailers) {
      at = reader.advance(bytes, at, bytes.length)
      if (reader.fault !== 0) return { data, rest, fault: reader.fault }
      const count = reader.atTrailers ? 0 : Math.min(bytes.length - at, reader.remaining)
      data += bytes.toString('latin1', at, at + count)
      if (count > 0) reader.took(count)
      at += count
    }
    rest += bytes.toString('latin1', at)
  }
  return { data, rest, fault: 0 }
}

const accepted: Array<[text: string, data: string, rest: string]> = [
  ['0\r\n\r\n', '', '\r\n'],
  ['5\r\nhello\r\n0\r\n\r\n', 'hello', '\r\n'],
  ['00005\r\nhello\r\n000\r\nA: 1\r\n\r\n', 'hello', 'A: 1\r\n\r\n'],
  ['A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n', '0123456789abcdefghij', ''],
  ['1;a=b;c="d;e"\r\nx\r\n0;z\r\n\r\n', 'x', '\r\n'],
  ['1 \t ;a\r\nx\r\n0\r\n', 'x', ''],
  ['2\r\n\r\n\r\n0\r\n\r\n', '\r\n', '\r\n'],
]
const refused: Array<[text: string, fault: Fault]> = [
  ['\r\n', Fault.ChunkSize],
  ['x\r\n', Fault.ChunkSize],
  ['-1\r\n', Fault.ChunkSize],
  [' 1\r\n', Fault.ChunkSize],
  ['0x1\r\n', Fault.ChunkExtension],
  ['1_0\r\n', Fault.ChunkExtension],
  ['1 \r\nx\r\n', Fault.ChunkExtension],
  ['1 x\r\n', Fault.ChunkExtension],
  ['1\nx\r\n', Fault.ChunkExtension],
  ['1\rx', Fault.ChunkExtension],
  ['1;a\nb\r\n', Fault.ChunkExtension],
  ['1;a\rb\r\n', Fault.ChunkExtension],
  ['1;\0\r\n', Fault.ChunkExtension],
  [`1;${'x'.repeat(5000)}`, Fault.ChunkExtension],
  [`${'0'.repeat(5000)}1\r\n`, Fault.ChunkExtension],
  ['FFFFFFFFFFFFFFFF\r\n', Fault.ChunkSize],
  ['20000000000000\r\n', Fault.ChunkSize],
  ['1\r\nxy\r\n', Fault.ChunkEnd],
  ['1\r\nx\n', Fault.ChunkEnd],
  ['1\r\nx\r\r', Fault.ChunkEnd],
]

for (const [text, data, rest] of accepted)
  t.test(`chunks ${JSON.stringify(text)}`, async (t) => {
    for (let cut = 0; cut <= text.length; cut++)
      t.strictSame(read(text, cut), { data, rest, fault: 0 }, `cut at ${cut}`)
  })

for (const [text, fault] of refused)
  t.test(`chunks ${JSON.stringify(text.slice(0, 20))} are refused`, async (t) => {
    for (let cut = 0; cut <= text.length; cut += text.length > 100 ? 997 : 1)
      t.equal(read(text, cut).fault, fault, `cut at ${cut}`)
  })
