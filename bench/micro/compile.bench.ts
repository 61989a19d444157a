/** Compiling a large mesh: what one change of its files costs, with ten Pods behind every service. */
import { compile } from '../../config/compile.ts'
import type { KnownResource } from '../../config/kinds.ts'
import { load } from '../../config/load.ts'
import { pod, service, workload } from '../../test/config/compile-support.ts'

const SERVICES = 10_000
const PODS = 10

function mesh(port: string): KnownResource[] {
  const texts: string[] = []
  for (let index = 0; index < SERVICES; index++) {
    const name = `svc-${index}`
    const namespace = `ns-${index % 100}`
    const tail = `${index >> 8}.${index & 255}`
    texts.push(service(name, { namespace, ports: [port], clusterIP: `10.96.${tail}` }))
    for (let number = 0; number < PODS; number++) {
      const labels = { app: name, version: number % 2 === 0 ? 'v1' : 'v2' }
      texts.push(pod(`${name}-${number}`, `10.${number}.${tail}`, labels, { namespace }))
    }
  }
  return [...load([{ path: 'mesh.yaml', text: texts.join('') }]).resources]
}

function once(resources: readonly KnownResource[]): {
  readonly ms: number
  readonly heapMb: number
} {
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  const began = process.threadCpuUsage()
  const { snapshot } = compile(resources, workload())
  const { user, system } = process.threadCpuUsage(began)
  globalThis.gc?.()
  const heapMb = (process.memoryUsage().heapUsed - heap) / 1e6
  // Asked only now: the snapshot must live until its memory is measured.
  if (snapshot.clusters.size !== SERVICES) throw new RangeError('services are missing')
  return { ms: (user + system) / 1000, heapMb }
}

for (const [what, port] of [
  ['declared HTTP, one table', 'http:80'],
  ['undeclared, one listener each', ':80'],
] as const) {
  const resources = mesh(port)
  const rounds = Array.from({ length: 5 }, () => once(resources))
  const ms = Math.min(...rounds.map((round) => round.ms))
  const memory = globalThis.gc === undefined ? '' : `, ${rounds.at(-1)!.heapMb.toFixed(0)} MB`
  console.log(`${SERVICES} services x ${PODS} Pods, ${what}: ${ms.toFixed(0)} ms${memory}`)
}
