/** TLS: passed through by server name, and originated for the application. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Behaviour, Endpoint } from '../behaviour.ts'
import { asks } from '../client-steps.ts'
import { type RawScript, type Script, tlsAuthority } from '../upstream.ts'
import { clientHello } from './client-hello.ts'

const named = (name: string): RawScript => ({
  raw: (socket) => socket.once('data', () => socket.end(`this is ${name}`)),
})

/** A TLS client that says hello to `serverName`; what comes back is no TLS, which no proxy minds. */
const hello =
  (serverName: string | undefined): Behaviour['client'] =>
  async (client) => {
    const wire = (await client.wire()).opaque()
    wire.send(clientHello(serverName))
    client.notes['end'] = await wire.ended()
    client.notes['got'] = wire.raw
  }

/** `n`: who dials what tells the log lines apart; the rules are those of port 443 at any address. */
function passthrough(
  n: number,
  name: string,
  host: string,
  serverName: string | undefined,
  more: Partial<Behaviour> = {},
): Behaviour {
  const [one, two] = [`${host}-one`, `${host}-two`]
  const hosts = [`one.${host}.example`, `*.${host}.example`]
  const toService = (service: string) => [
    { destination: { host: service, port: { number: 9000 } } },
  ]
  return {
    name,
    host,
    tcp: true,
    dials: { address: `10.96.9.${n}`, port: 443 },
    services: { [one]: [named('one')], [two]: [named('two')] },
    istio: {
      more: [
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'ServiceEntry',
          metadata: { name: host, namespace: 'default' },
          spec: {
            hosts,
            ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
            resolution: 'NONE',
          },
        },
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'VirtualService',
          metadata: { name: host, namespace: 'default' },
          spec: {
            hosts,
            tls: [
              { match: [{ port: 443, sniHosts: [hosts[0]] }], route: toService(one) },
              { match: [{ port: 443, sniHosts: [hosts[1]] }], route: toService(two) },
            ],
          },
        },
      ],
    },
    envoy: {
      chains: [
        { serverNames: [hosts[0]!], cluster: one },
        { serverNames: [hosts[1]!], cluster: two },
      ],
    },
    client: hello(serverName),
    logs: 1,
    ...more,
  }
}

export const tls: readonly Behaviour[] = [
  passthrough(1, 'TLS is routed by its server name, byte for byte', 'sni', 'one.sni.example'),
  passthrough(2, 'the server name matches in any case', 'snicase', 'ONE.SNICASE.example'),
  passthrough(3, 'a wildcard takes what no exact name takes', 'wild', 'any.other.wild.example'),
  passthrough(4, 'an unknown server name is refused', 'unsni', 'elsewhere.example'),
  passthrough(5, 'TLS without a server name is refused', 'nosni', undefined),
]

/** What the endpoint saw of TLS, as its reply. */
const tellsTls: Script = (call) => {
  const { alpnProtocol, servername } = call.socket as TLSSocket
  call.reply(200, `name ${servername}, protocol ${alpnProtocol}`)
}

const caFile = join(mkdtempSync(join(tmpdir(), 'outrider-peers-')), 'ca.pem')
writeFileSync(caFile, tlsAuthority.cert)
process.on('exit', () => rmSync(dirname(caFile), { recursive: true }))

/** What Istio writes of `tls: {mode: SIMPLE}`. */
function transport(sni: string | undefined, validation: object): object {
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': type,
        ...(sni === undefined ? {} : { sni }),
        common_tls_context: { validation_context: validation },
      },
    },
  }
}

const trusted = { trusted_ca: { filename: caFile } }
const names = (exact: string) => ({
  match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact } }],
})

function originates(
  name: string,
  host: string,
  settings: object,
  cluster: object,
  endpoint: Endpoint = { secure: tellsTls },
  ignores: readonly RegExp[] = [],
): Behaviour {
  return {
    name,
    host,
    services: { [host]: [endpoint] },
    istio: { policy: { tls: { mode: 'SIMPLE', ...settings } } },
    envoy: { cluster },
    client: asks({}),
    ignores,
  }
}

export const origination: readonly Behaviour[] = [
  originates(
    'TLS is spoken to the application, with the name of the rule',
    'simple',
    { sni: 'tls.example', caCertificates: caFile, subjectAltNames: ['tls.example'] },
    transport('tls.example', { ...trusted, ...names('tls.example') }),
  ),
  originates(
    'a certificate for another name: 503 with flag UF',
    'othername',
    { sni: 'tls.example', caCertificates: caFile, subjectAltNames: ['other.example'] },
    transport('tls.example', { ...trusted, ...names('other.example') }),
  ),
  originates(
    'an endpoint that speaks no TLS: 503 with flag UF',
    'plaintext',
    { sni: 'tls.example', caCertificates: caFile },
    transport('tls.example', trusted),
    {
      raw: (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    },
    // the hello of each TLS library is its own
    [/^upstream \d: body/],
  ),
  originates(
    'insecureSkipVerify takes any certificate',
    'skipping',
    { sni: 'any.example', insecureSkipVerify: true },
    transport('any.example', { trust_chain_verification: 'ACCEPT_UNTRUSTED' }),
  ),
]
