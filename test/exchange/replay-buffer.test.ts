import t from 'tap'
import { ReplayBuffer, replayMemory } from '../../proxy/exchange/replay-buffer.ts'
import { BodyKind, type BodySink, type BodySource } from '../../proxy/http/body.ts'

class Taker implements BodySink {
  source: BodySource | undefined = undefined
  text = ''
  ended = false
  room = true

  write(chunk: Buffer): boolean {
    this.text += chunk.toString()
    return this.room
  }

  end(): void {
    this.ended = true
  }

  fail(): void {}
}

const source = () => {
  const resumed = { times: 0 }
  return { resumed, as: { resume: () => resumed.times++, bytes: 0 } as unknown as BodySource }
}

t.test('a second attempt gets what the first one got, then what is still to come', async (t) => {
  const replay = new ReplayBuffer(BodyKind.Unknown, 100)
  const client = source()
  replay.source = client.as
  const [first, second] = [new Taker(), new Taker()]
  replay.flowInto(first)
  replay.write(Buffer.from('one '))
  replay.detach()
  t.equal(replay.write(Buffer.from('two ')), false, 'between attempts the client is held')
  replay.flowInto(second)
  t.equal(client.resumed.times, 1)
  replay.write(Buffer.from('three'))
  replay.end()
  t.equal(first.text, 'one ')
  t.equal(second.text, 'one two three')
  t.ok(second.ended)
  replay.forget()
  t.equal(replayMemory.bytes, 0)
})

t.test('beyond its limit the body flows on and cannot be sent again', async (t) => {
  const replay = new ReplayBuffer(BodyKind.Unknown, 10)
  const taker = new Taker()
  replay.flowInto(taker)
  replay.write(Buffer.from('12345678'))
  t.ok(replay.replayable)
  replay.write(Buffer.from('901'))
  t.notOk(replay.replayable)
  t.notOk(replay.crowded)
  t.equal(taker.text, '12345678901')
  t.equal(replayMemory.bytes, 0)
})

t.test('a chunk that arrives between attempts is never lost, even beyond the limit', async (t) => {
  const replay = new ReplayBuffer(BodyKind.Unknown, 10)
  const [first, second] = [new Taker(), new Taker()]
  replay.flowInto(first)
  replay.write(Buffer.from('12345678'))
  replay.detach()
  replay.write(Buffer.from('901'))
  replay.flowInto(second)
  replay.write(Buffer.from('2'))
  t.equal(second.text, '123456789012')
  t.notOk(replay.replayable)
})

t.test('the copies of all requests together are bounded', async (t) => {
  const replay = new ReplayBuffer(BodyKind.Unknown, 1024)
  const taker = new Taker()
  replay.flowInto(taker)
  replayMemory.bytes = 64 * 1024 * 1024
  replay.write(Buffer.from('x'))
  t.notOk(replay.replayable)
  t.ok(replay.crowded)
  t.equal(taker.text, 'x')
  replayMemory.bytes = 0
})
