/** What workers of a running process share about listeners: one log line for all, one owner of a unix socket. */
import { existsSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { test } from 'tap'
import { emptyFolder } from '../support/folder.ts'
import { Running } from '../support/running.ts'
import { listening } from '../support/upstream.ts'

const yaml = (http: number, socket: string): string => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: known, namespace: default }
spec:
  hosts: [known.example]
  ports: [{ number: 443, name: tls, protocol: TLS }, { number: 80, name: http, protocol: HTTP, targetPort: ${http} }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: closed, namespace: default }
spec:
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
  egress:
    - { port: { number: 0, protocol: HTTP, name: http }, bind: 'unix://${socket}', hosts: ['./*'] }
    - { hosts: ['*/*'] }
`

/** True when the connection was broken off, as it must be. */
function refused(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.write('CONNECT known.example:443 HTTP/1.1\r\nHost: known.example:443\r\n\r\n')
    socket.once('data', () => {
      const inside = connectTls({ socket, servername: 'stranger.example' })
      inside.on('error', () => done(true))
      inside.on('secureConnect', () => done(false))
    })
  })
}

function through(path: string): Promise<string> {
  return new Promise((done, failed) => {
    const asked = request(
      { socketPath: path, headers: { host: 'known.example' } },
      async (reply) => {
        let text = ''
        for await (const chunk of reply) text += chunk
        done(text)
      },
    )
    asked.on('error', failed)
    asked.end()
  })
}

test('two workers tell a refused server name once, and one of them serves a unix socket', async (t) => {
  const folder = emptyFolder(t)
  const web = createServer((_, reply) => reply.end('known'))
  const port = await listening(web)
  t.teardown(() => {
    web.closeAllConnections()
    web.close()
  })
  const socket = join(folder, 'egress.sock')
  const config = join(folder, 'mesh.yaml')
  writeFileSync(config, yaml(port, socket))
  await using proxy = new Running(['--config', config, '--ip', '127.0.0.1', '--workers', '2'])
  const { outbound } = await proxy.ready()
  const told = await Promise.all(Array.from({ length: 16 }, () => refused(outbound)))
  t.ok(told.every(Boolean), 'all were refused')
  const line = await proxy.said(/stranger\.example .*is no known service/)
  t.match(line['msg'], /kind: ServiceEntry[\s\S]*hosts: \["stranger\.example"\]/)
  t.equal(await through(socket), 'known')
  const again = proxy.lines.filter(({ msg }) => /stranger\.example/.test(String(msg)))
  t.equal(again.length, 1)
  t.ok(existsSync(socket))
})
