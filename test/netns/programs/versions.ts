/**
 * Stands in for the Pods of several workloads: each argument `address port text` is a server there. HTTP
 * requests are answered with the text and what was asked; other bytes come back after the text.
 */
import { createServer } from 'node:net'

const sockets = process.argv.slice(2).map((argument) => argument.split(' '))
let open = sockets.length
for (const [address = '', port = '', text = ''] of sockets) {
  const server = createServer((socket) => {
    let seen = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      const bytes = chunk.toString('latin1')
      if (seen === '' && !/^[A-Z]+ \S+ HTTP/.test(bytes)) {
        socket.write(`${text} ${bytes}`)
        return
      }
      seen += bytes
      for (let end = seen.indexOf('\r\n\r\n'); end >= 0; end = seen.indexOf('\r\n\r\n')) {
        const head = seen.slice(0, end)
        seen = seen.slice(end + 4)
        const body = `${text} ${head.split(' ')[1]}\n`
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      }
    })
  })
  server.listen(Number(port), address, () => {
    open--
    if (open === 0) console.log('ready')
  })
}
