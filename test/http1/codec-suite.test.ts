import t from 'tap'
import { Http1ClientCodec } from '../../proxy/http1/client-codec.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { type CodecFactory, codecSuite } from '../support/codec-suite.ts'
import { FakeConnection, settlePair } from '../support/fake-connection.ts'
import { RecordingPool, RecordingServer } from '../support/recorders.ts'

const http1: CodecFactory = {
  name: 'HTTP/1.1',
  concurrent: 1,
  make(onRequest) {
    const [near, far] = FakeConnection.pair()
    const owner = new RecordingServer(onRequest)
    const pool = new RecordingPool()
    const server = new Http1ServerCodec(far, owner)
    server.start()
    const client = new Http1ClientCodec(near, pool)
    return {
      client,
      server,
      owner,
      pool,
      settle: () => settlePair(near, far),
      block(side, blocked) {
        const connection = side === 'client' ? near : far
        if (blocked) connection.full = true
        else connection.drain()
      },
      breakOff() {
        near.deliverClose()
        far.deliverClose()
      },
    }
  },
}

codecSuite(t, http1)
