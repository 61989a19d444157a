/** Makes connections for a capture test, as whichever user it runs: one JSON order per line on stdin. */
import { createSocket } from 'node:dgram'
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { createInterface } from 'node:readline'

/** What came of one call. */
export interface CallResult {
  readonly connected: boolean
  readonly text: string
  readonly error: string | undefined
}

export interface HammerResult {
  readonly calls: number
  /** Calls that did not get the answer wanted. */
  readonly escaped: number
}

export type Order =
  | {
      readonly do: 'call'
      readonly address: string
      readonly port: number
      readonly localPort?: number
    }
  | {
      readonly do: 'udp'
      readonly address: string
      readonly port: number
      readonly text: string
      readonly connected: boolean
      readonly localPort?: number
    }
  | { readonly do: 'hold'; readonly address: string; readonly port: number }
  /** Sends over the held connection; a replier echoes. */
  | { readonly do: 'echo'; readonly text: string }
  /** Calls without pause, from several loops, until `stop`. */
  | {
      readonly do: 'hammer'
      readonly address: string
      readonly port: number
      readonly wanted: string
    }
  | { readonly do: 'stop' }

const patienceMs = 4000
let held: Socket | undefined
let hammering: { stop: boolean; done: Promise<HammerResult> } | undefined

function call(options: TcpNetConnectOpts): Promise<CallResult> {
  return new Promise((done) => {
    let [connected, text] = [false, '']
    const socket = connect(options)
    const settle = (error?: string) => {
      done({ connected, text, error })
      socket.destroy()
    }
    socket.setTimeout(patienceMs, () => settle('ETIMEDOUT'))
    socket.on('connect', () => {
      connected = true
      socket.write('hello\n')
    })
    socket.on('data', (bytes) => {
      text += String(bytes)
      if (text.endsWith('\n')) settle()
    })
    socket.on('end', () => settle(text === '' ? 'closed without an answer' : undefined))
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code))
  })
}

function udp(order: Extract<Order, { do: 'udp' }>): Promise<CallResult> {
  const socket = createSocket(order.address.includes(':') ? 'udp6' : 'udp4')
  return new Promise((done) => {
    const settle = (text: string, error?: string) => {
      clearTimeout(patience)
      done({ connected: order.connected, text, error })
      socket.close()
    }
    const patience = setTimeout(settle, patienceMs, '', 'ETIMEDOUT')
    socket.on('message', (bytes, from) => settle(`${bytes} from ${from.address} ${from.port}`))
    socket.on('error', (error: NodeJS.ErrnoException) => settle('', error.code))
    socket.bind({ port: order.localPort ?? 0 }, () => {
      if (order.connected) socket.connect(order.port, order.address, () => socket.send(order.text))
      else socket.send(order.text, order.port, order.address)
    })
  })
}

async function hammer(order: Extract<Order, { do: 'hammer' }>, state: { stop: boolean }) {
  let [calls, escaped] = [0, 0]
  const loop = async () => {
    while (!state.stop) {
      const { text } = await call({ port: order.port, host: order.address })
      calls++
      if (!text.includes(order.wanted)) escaped++
    }
  }
  await Promise.all(Array.from({ length: 6 }, loop))
  return { calls, escaped }
}

function hold(address: string, port: number): Promise<CallResult> {
  return new Promise((done) => {
    held = connect(port, address)
    held.on('error', (error: NodeJS.ErrnoException) =>
      done({ connected: false, text: '', error: error.code }),
    )
    held.on('connect', () => done({ connected: true, text: '', error: undefined }))
  })
}

function echo(text: string): Promise<CallResult> {
  return new Promise((done) => {
    if (held === undefined) return done({ connected: false, text: '', error: 'nothing held' })
    const settle = (answer: string, error?: string) => {
      clearTimeout(patience)
      held?.removeAllListeners('data')
      done({ connected: error === undefined, text: answer, error })
    }
    const patience = setTimeout(settle, patienceMs, '', 'ETIMEDOUT')
    held.once('error', (error: NodeJS.ErrnoException) => settle('', error.code))
    held.once('data', (bytes) => settle(String(bytes)))
    held.write(`${text}\n`)
    return undefined
  })
}

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'call': {
      const { address: host, port, localPort } = order
      return call(localPort === undefined ? { host, port } : { host, port, localPort })
    }
    case 'udp':
      return udp(order)
    case 'hold':
      return hold(order.address, order.port)
    case 'echo':
      return echo(order.text)
    case 'hammer': {
      const state = { stop: false }
      const done = hammer(order, state)
      hammering = Object.assign(state, { done })
      return 'begun'
    }
    case 'stop':
      if (hammering) hammering.stop = true
      return hammering?.done
  }
}

// Orders are obeyed side by side; the number in front tells whose answer it is.
createInterface({ input: process.stdin }).on('line', async (line) => {
  const space = line.indexOf(' ')
  const answer = await obey(JSON.parse(line.slice(space + 1)) as Order)
  process.stdout.write(`${line.slice(0, space)} ${JSON.stringify(answer)}\n`)
})
process.stdin.on('end', () => process.exit(0))
process.stdout.write('0 "ready"\n')
