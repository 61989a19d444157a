/** Answers every line of every connection with who it is and whom it sees: NAME, then `HOST PORT` pairs. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

const [name = '', ...listening] = process.argv.slice(2)
let waiting = 0

function ready(): void {
  if (--waiting === 0) process.stdout.write('0 "ready"\n')
}

for (const place of listening) {
  const [protocol, host = '', port] = place.split(' ')
  waiting++
  if (protocol === 'udp') {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (_bytes, from) => socket.send(name, from.port, from.address))
    socket.bind(Number(port), host, ready)
    continue
  }
  const server = createServer((socket) => {
    const { remoteAddress: peer, localAddress: local, localPort } = socket
    socket.on('error', () => undefined)
    socket.on('data', () =>
      socket.write(`${JSON.stringify({ name, peer, local, port: localPort })}\n`),
    )
  })
  server.listen(Number(port), host, ready)
}
process.stdin.resume().on('end', () => process.exit(0))
