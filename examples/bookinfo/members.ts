/** Who is in the demo mesh, and where everything of the project lies, from source or from dist/. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One workload: an application with its sidecar. */
export interface Member {
  /** `reviews-v2`: name of the Pod. */
  readonly name: string
  readonly app: string
  readonly version: string
  /** Program under services/, without extension. */
  readonly program: string
}

function member(app: string, version: string): Member {
  return { name: `${app}-${version}`, app, version, program: app }
}

export const members: readonly Member[] = [
  member('productpage', 'v1'),
  member('details', 'v1'),
  member('reviews', 'v1'),
  member('reviews', 'v2'),
  member('reviews', 'v3'),
  member('ratings', 'v1'),
]

/** Virtual addresses of config/services.yaml. */
export const serviceAddresses: Readonly<Record<string, string>> = {
  productpage: '10.96.0.11',
  details: '10.96.0.12',
  reviews: '10.96.0.13',
  ratings: '10.96.0.14',
}

export const servicePort = 9080

const here = dirname(fileURLToPath(import.meta.url))
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** The YAML that drives the mesh; a reader may edit it while it runs. */
export const configFolder = join(here, 'config')

export function serviceProgram(name: string): string {
  return join(here, 'services', `${name}${extension}`)
}

export function programBeside(name: string): string {
  return join(here, `${name}${extension}`)
}

/** The command line's entry. */
export const outrider = join(here, '..', '..', 'proxy', `main${extension}`)

/** Pods as Kubernetes would describe them: what ties addresses to labels. */
export function podYaml(member: Member, address: string): string {
  return `---
apiVersion: v1
kind: Pod
metadata: { name: ${member.name}, labels: { app: ${member.app}, version: ${member.version} } }
spec:
  serviceAccountName: bookinfo-${member.app}
  containers:
    - { name: app, ports: [{ containerPort: ${servicePort} }] }
status: { phase: Running, podIP: ${address}, podIPs: [{ ip: ${address} }] }
`
}

/** Flags by which a sidecar learns whose it is. */
export function identityFlags(member: Member, address: string): string[] {
  return [
    ...['--namespace', 'default', '--name', member.name, '--ip', address],
    ...['--labels', `app=${member.app},version=${member.version}`],
    ...['--service-account', `bookinfo-${member.app}`, '--workers', '1'],
  ]
}
