/** Bodies through a codec: what framing costs per chunk and per 64 KiB. */
import type { BodySink } from '../../proxy/http/body.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { measure } from './measure.ts'
import { NullConnection } from './null-connection.ts'

let bytes = 0
const sink: BodySink = {
  source: undefined,
  write(chunk) {
    bytes += chunk.length
    return true
  },
  end() {},
  fail() {},
}
const connection = new NullConnection()
new Http1ServerCodec(connection, {
  onStream(stream) {
    stream.owner = { onRequestEnd() {}, onReplyEnd() {}, onAbort() {} }
    stream.body.flowInto(sink)
  },
  onRefused() {},
  onClosed() {},
}).start()

const head = Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
connection.receiver.onBytes(head, 0, head.length)
const chunks = (size: number, count: number): Buffer =>
  Buffer.from(`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`.repeat(count))
for (const [size, count] of [
  [16, 1000],
  [1024, 64],
  [16 * 1024, 4],
] as const) {
  const buffer = chunks(size, count)
  const { nanoseconds } = measure(`${count} chunks of ${size} bytes in one read`, 2_000, () => {
    connection.receiver.onBytes(buffer, 0, buffer.length)
  })
  console.log(`${''.padEnd(40)} ${(nanoseconds / count).toFixed(0)} ns per chunk`)
}
if (bytes === 0) console.log('nothing arrived')
