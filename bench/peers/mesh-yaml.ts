/** The mesh as Istio and Kubernetes YAML: what an Outrider under measurement reads. */
import { type Backend, endpointAddress, hostName, type Plan, retries } from './peer.ts'

/** Services in one file, as tools that write many would. */
const hostsPerFile = 500

/** File name to content. */
export function meshFiles(plan: Plan, backend: Backend): Map<string, string> {
  const files = new Map<string, string>()
  const own = Array.from({ length: plan.endpointsPerHost }, (_, i) => endpointAddress(i))
  const main = [
    service('web', plan.protocol, '10.96.1.1', backend.port),
    slice('web', plan.protocol, own, backend.port),
    service('sink', plan.protocol, '10.96.1.2', backend.sinkPort),
    slice('sink', plan.protocol, [endpointAddress(0)], backend.sinkPort),
  ]
  if (plan.protocol === 'http') main.push(virtualService('web'), virtualService('sink'))
  files.set('main.yaml', main.join('---\n'))
  for (let from = 0; from < plan.hosts; from += hostsPerFile) {
    const count = Math.min(hostsPerFile, plan.hosts - from)
    const documents = Array.from({ length: count }, (_, i) =>
      hostDocuments(from + i, plan, backend),
    )
    files.set(`hosts-${from}.yaml`, documents.join('---\n'))
  }
  return files
}

function hostDocuments(index: number, plan: Plan, backend: Backend): string {
  const name = hostName(index)
  const cluster = `10.100.${Math.floor(index / 250)}.${(index % 250) + 1}`
  const addresses =
    plan.endpointsPerHost === 1
      ? [endpointAddress(0)]
      : Array.from({ length: plan.endpointsPerHost }, (_, i) => podAddress(index, i))
  return `${service(name, 'http', cluster, backend.port)}---\n${slice(name, 'http', addresses, backend.port)}`
}

/** Addresses that nothing sends to: only the size of the table counts. */
export function podAddress(host: number, index: number): string {
  const n = host * 10 + index
  return `10.${128 + Math.floor(n / 62_500)}.${Math.floor(n / 250) % 250}.${(n % 250) + 1}`
}

export function service(name: string, port: string, clusterIp: string, target: number): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec:
  clusterIP: ${clusterIp}
  ports: [{ name: ${port}, port: 8080, targetPort: ${target} }]
`
}

export function slice(
  name: string,
  port: string,
  addresses: readonly string[],
  target: number,
): string {
  const endpoints = addresses.map(
    (address) => `  - { addresses: [${address}], conditions: { ready: true } }\n`,
  )
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: default, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: ${port}, port: ${target}, protocol: TCP }]
endpoints:
${endpoints.join('')}`
}

function virtualService(name: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${name}]
  http:
    - retries: { attempts: ${retries.attempts}, retryOn: "${retries.on}" }
      route: [{ destination: { host: ${name}, port: { number: 8080 } } }]
`
}
