/** A folder of small objects that is edited at random, as people and controllers edit theirs. */

import type { SourceFile } from '../../config/load.ts'
import { Random } from '../../proxy/base/random.ts'

type Document = () => string

const services = ['web', 'api', 'db', 'mail']
const namespaces = ['default', 'prod']

export class EditedFolder {
  private readonly random: Random
  private readonly files = new Map<string, string[]>()

  constructor(seed: number) {
    this.random = new Random(seed)
    for (const name of ['a.yaml', 'b.yaml', 'c/d.yaml'])
      this.files.set(
        name,
        Array.from({ length: 5 }, () => this.document()),
      )
    this.files.set('mesh.yaml', [this.mesh()])
  }

  /** The same file object where the text is the same, as a source gives it. */
  read(before: readonly SourceFile[]): SourceFile[] {
    return [...this.files].map(([path, documents]) => {
      const text = documents.join('---\n')
      return before.find((file) => file.path === path && file.text === text) ?? { path, text }
    })
  }

  edit(): void {
    const documents = this.one([...this.files.values()])
    const at = this.random.below(documents.length + 1)
    const edits: Array<() => void> = [
      () => documents.splice(at, 1, this.slice()),
      () => documents.splice(at, 1, this.slice()),
      () => documents.splice(at, 1, this.document()),
      () => documents.splice(at, 0, this.document()),
      () => documents.splice(at, 1),
      () => documents.splice(at, 0, ...documents.splice(0, 1)),
      () => documents.splice(at, 0, `# a remark\n\n`),
      () => documents.splice(at, 0, this.one(documents) ?? ''),
      () => documents.splice(at, 1, `${this.document()}broken: [\n`),
      () => documents.splice(at, 1, this.document().replace(/port: \d+/, 'port: x')),
      () => documents.splice(at, 1, `kind: List\napiVersion: v1\nitems: []\n`),
      () => this.files.set('mesh.yaml', [this.mesh()]),
      () => documents.splice(at, 1, documents[at]?.replace(/\n/, '\n# moved\n') ?? ''),
    ]
    this.one(edits)()
  }

  private one<Item>(items: readonly Item[]): Item {
    return items[this.random.below(items.length)]!
  }

  private document(): string {
    return this.one<Document>([
      () => this.slice(),
      () => this.slice(),
      () => this.service(),
      () => this.service(),
      () => this.pod(),
      () => this.serviceEntry(),
      () => this.workloadEntry(),
      () => this.virtualService(),
      () => this.destinationRule(),
      () => this.sidecar(),
    ])()
  }

  private header(apiVersion: string, kind: string, name: string, labels = ''): string {
    const namespace = this.one([...namespaces, 'default', 'default'])
    return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: ${name}, namespace: ${namespace}${labels} }\n`
  }

  /** Some are the workload's own. */
  private address(): string {
    return `10.1.0.${1 + this.random.below(9)}`
  }

  private slice(): string {
    const service = this.one(services)
    const label = `, labels: { kubernetes.io/service-name: ${service} }`
    const name = `${service}-${this.random.below(2)}`
    const endpoints = Array.from({ length: this.random.below(4) }, () => {
      const target = this.one(['', `, targetRef: { kind: Pod, name: pod-${this.random.below(3)} }`])
      const zone = this.one(['', ', zone: z1', ', zone: z2, nodeName: n0'])
      return `  - { addresses: [${this.address()}], conditions: { ready: ${this.one([true, false])} }${target}${zone} }\n`
    })
    return `${this.header('discovery.k8s.io/v1', 'EndpointSlice', name, label)}addressType: IPv4
ports: [{ name: ${this.one(['http', 'tcp'])}, port: ${8080 + this.random.below(2)}, protocol: TCP }]
endpoints: ${endpoints.length === 0 ? '[]' : ''}
${endpoints.join('')}`
  }

  private service(): string {
    const spec = this.one([
      `clusterIP: 10.96.0.${1 + this.random.below(9)}`,
      `clusterIP: 10.96.0.${1 + this.random.below(9)}`,
      'clusterIP: None',
    ])
    return `${this.header('v1', 'Service', this.one(services))}spec:
  ${spec}
  ${this.one(['internalTrafficPolicy: Local', 'selector: { app: x }', 'selector: { app: client }', 'trafficDistribution: PreferSameZone'])}
  ports: [{ name: ${this.one(['http', 'tcp', 'other'])}, port: 80 }, { name: tcp, port: ${this.one([81, 82])} }]
`
  }

  private pod(): string {
    const label = `, labels: { app: ${this.one(['x', 'y'])}, version: v${this.random.below(3)} }`
    const name = this.one(['pod-0', 'pod-1', 'pod-2', 'client-1'])
    return `${this.header('v1', 'Pod', name, label)}spec: { nodeName: n${this.random.below(2)}, containers: [] }
status: { podIP: ${this.address()}, phase: Running, conditions: [{ type: Ready, status: "True" }] }
`
  }

  private serviceEntry(): string {
    const more = this.one([
      'resolution: DNS',
      'resolution: NONE',
      `resolution: STATIC\n  endpoints: [{ address: ${this.address()} }]`,
      'resolution: STATIC\n  workloadSelector: { labels: { app: x } }',
    ])
    return `${this.header('networking.istio.io/v1', 'ServiceEntry', this.one(['ext', 'other']))}spec:
  hosts: [${this.one(['ext.example.com', 'web.default.svc.cluster.local', '*.wild.example.com'])}]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  ${more}
`
  }

  private workloadEntry(): string {
    return `${this.header('networking.istio.io/v1', 'WorkloadEntry', this.one(['vm-0', 'vm-1']))}spec:
  address: ${this.address()}
  labels: { app: ${this.one(['x', 'y'])} }
`
  }

  private virtualService(): string {
    const service = this.one(services)
    return `${this.header('networking.istio.io/v1', 'VirtualService', this.one(services))}spec:
  hosts: [${this.one([service, 'nobody.example.com', '*.example.com'])}]
  http:
    - timeout: ${1 + this.random.below(3)}s
      route: [{ destination: { host: ${this.one(services)}, subset: ${this.one(['v1', 'v2'])} } }]
`
  }

  private destinationRule(): string {
    const host = this.one([...services, '"*.default.svc.cluster.local"'])
    const nearness = this.one([
      '',
      '',
      ', localityLbSetting: { enabled: true }',
      ', zoneAwareLbSetting: { minClusterSize: 1 }',
    ])
    return `${this.header('networking.istio.io/v1', 'DestinationRule', this.one(services))}spec:
  host: ${host}
  trafficPolicy:
    loadBalancer: { simple: ${this.one(['RANDOM', 'ROUND_ROBIN', 'PASSTHROUGH'])}${nearness} }
    outlierDetection: { consecutive5xxErrors: ${1 + this.random.below(3)} }
  subsets: [{ name: v1, labels: { version: v1 } }]
`
  }

  private sidecar(): string {
    return `${this.header('networking.istio.io/v1', 'Sidecar', 'egress')}spec:
  egress: [{ hosts: [${this.one(['"./*"', '"*/*"', '"prod/*"'])}] }]
`
  }

  private mesh(): string {
    const policy = this.one(['ALLOW_ANY', 'REGISTRY_ONLY'])
    return `outboundTrafficPolicy: { mode: ${policy} }\ndefaultServiceExportTo: [${this.one(['"*"', '"."'])}]\n`
  }
}
