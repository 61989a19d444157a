/** Runs in the node's namespace: what comes to a unix socket goes to an address inside. */
import { connect, createServer } from 'node:net'

const [path = '', address = '', port = ''] = process.argv.slice(2)

createServer((socket) => {
  const inner = connect(Number(port), address)
  socket.pipe(inner).pipe(socket)
  socket.on('error', () => inner.destroy())
  inner.on('error', () => socket.destroy())
}).listen(path, () => console.log('ready'))
