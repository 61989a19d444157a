import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import {
  formatIpv6,
  loopsBack,
  originalDestination,
  originalDestinationUnavailable,
} from '../../proxy/net/original-destination.ts'

const file = new URL('../../proxy/net/original-destination.ts', import.meta.url)

t.test('this process can ask the kernel', async (t) => {
  t.equal(originalDestinationUnavailable(), undefined)
})

t.test('without addons the reason and the cure are told', async (t) => {
  const ask = `import(${JSON.stringify(file.href)}).then(m => console.log(m.originalDestinationUnavailable()))`
  const { stdout } = spawnSync(process.execPath, ['--no-addons', '-e', ask], { encoding: 'utf8' })
  t.match(stdout, /^cannot read original destinations, native addon unavailable: .*--no-addons/)
})

for (const host of ['127.0.0.1', '::1'])
  t.test(`a connection to ${host} that was not captured never names somebody else`, async (t) => {
    const server = createServer().listen(0, '::')
    t.teardown(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = connect(port, host)
    const [accepted] = (await once(server, 'connection')) as [Socket]
    const answer = originalDestination(accepted)
    // which of both depends on whether this machine tracks connections
    if (answer !== undefined) t.same(answer, { address: host, port })
    accepted.destroy()
    client.destroy()
    t.equal(originalDestination(accepted), undefined, 'a destroyed socket has none')
  })

t.test('IPv6 addresses are told in canonical text', async (t) => {
  const zeros = Buffer.alloc(16)
  t.equal(formatIpv6(zeros), '::')
  for (const text of ['::1', 'fd77::1', 'fd77::', '1:0:0:2::3', '1::2:0:0:3:4', '1:0:2:3:4:5:6:7'])
    t.equal(formatIpv6(bytesOf(text)), text)
  for (let round = 0; round < 2000; round++) {
    const bytes = randomBytes(16)
    for (let index = 0; index < 16; index++) if (bytes[index]! > 90) bytes[index] = 0
    const plain = new URL(`http://[${[...groups(bytes)].join(':')}]/`).hostname.slice(1, -1)
    if (formatIpv6(bytes) !== plain) t.equal(formatIpv6(bytes), plain)
  }
})

t.test('what would come back to the proxy is known', async (t) => {
  const own = new Set([15001, 15006])
  const at = (address: string, port: number) => ({ address, port })
  const here = at('10.0.0.7', 15006)
  t.ok(loopsBack(here, here, 'inbound', own), 'its port called directly')
  t.ok(loopsBack(at('10.0.0.7', 15001), here, 'inbound', own), 'its other port, captured')
  t.notOk(loopsBack(at('10.0.0.7', 8080), here, 'inbound', own))
  const out = at('127.0.0.1', 15001)
  t.ok(loopsBack(out, out, 'outbound', own))
  t.notOk(loopsBack(at('10.0.0.8', 15001), out, 'outbound', own), "another workload's port")
})

function* groups(bytes: Uint8Array): Generator<string> {
  for (let index = 0; index < 16; index += 2)
    yield ((bytes[index]! << 8) | bytes[index + 1]!).toString(16)
}

function bytesOf(text: string): Buffer {
  const [head = '', tail] = text.split('::')
  const left = head.split(':').filter(Boolean)
  const right = (tail ?? '').split(':').filter(Boolean)
  const middle = Array<string>(8 - left.length - right.length).fill('0')
  return Buffer.concat(
    [...left, ...middle, ...right].map((group) => Buffer.from(group.padStart(4, '0'), 'hex')),
  )
}
