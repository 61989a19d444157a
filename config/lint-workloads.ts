/** What concerns workloads: which Sidecar applies, Services that contradict each other, user ids. */
import { declaredProtocol } from './lint-services.ts'
import {
  type Bystander,
  type MeshIndex,
  type Of,
  originText,
  selects,
  type Workload,
} from './mesh-index.ts'
import { type Raw, within } from './raw.ts'
import type { Problem } from './resource.ts'

export function lintWorkloads(index: MeshIndex): void {
  lintSidecars(index)
  const byNamespace = Map.groupBy(index.of('Service'), ({ namespace }) => namespace)
  for (const [namespace, services] of byNamespace)
    for (const workload of index.workloadsByNamespace.get(namespace) ?? [])
      if (workload.kind !== 'Pod') lintServicesOf(workload, services, index)
}

// --- Sidecars ---------------------------------------------------------------------------------------
function lintSidecars(index: MeshIndex): void {
  for (const [namespace, sidecars] of Map.groupBy(
    index.of('Sidecar'),
    (sidecar) => sidecar.namespace,
  )) {
    const general = sidecars.filter(({ spec }) => !isSelective(spec.workloadSelector))
    reportRivals(general, 'IST0111', ['spec'], `for the whole namespace ${namespace}`, index)
    const selective = sidecars.filter(({ spec }) => isSelective(spec.workloadSelector))
    lintSelectors(selective, index.workloadsByNamespace.get(namespace) ?? [], index)
  }
}

function isSelective(selector: Readonly<Record<string, string>> | undefined): boolean {
  return selector !== undefined && Object.keys(selector).length > 0
}

function lintSelectors(
  sidecars: ReadonlyArray<Of<'Sidecar'>>,
  workloads: readonly Workload[],
  index: MeshIndex,
): void {
  const told = new Set<Of<'Sidecar'>>()
  const used = new Set<Of<'Sidecar'>>()
  for (const workload of workloads) {
    const chosen = sidecars.filter(({ spec }) =>
      selects(spec.workloadSelector ?? {}, workload.labels),
    )
    for (const sidecar of chosen) used.add(sidecar)
    const fresh = chosen.filter((sidecar) => !told.has(sidecar))
    if (chosen.length < 2 || fresh.length === 0) continue
    for (const sidecar of chosen) told.add(sidecar)
    reportRivals(
      chosen,
      'IST0110',
      ['spec', 'workloadSelector', 'labels'],
      `for ${workload.kind} ${workload.name}`,
      index,
    )
  }
  // Without any workload in the files nothing can be said: theirs may come from flags.
  if (index.workloads.length === 0) return
  for (const sidecar of sidecars)
    if (!used.has(sidecar)) {
      const labels = Object.entries(sidecar.spec.workloadSelector ?? {}).map((pair) =>
        pair.join('='),
      )
      index.add(
        'warning',
        'IST0101',
        sidecar,
        ['spec', 'workloadSelector', 'labels'],
        `no workload of namespace ${sidecar.namespace} in these files has ${labels.join(', ')}`,
      )
    }
}

function reportRivals(
  sidecars: ReadonlyArray<Of<'Sidecar'>>,
  code: string,
  path: readonly string[],
  what: string,
  index: MeshIndex,
): void {
  if (sidecars.length < 2) return
  for (const sidecar of sidecars) {
    const others = sidecars
      .filter((other) => other !== sidecar)
      .map((other) => `${other.name} (${originText(other)})`)
    index.add(
      'error',
      code,
      sidecar,
      path,
      `${others.join(' and ')} also apply ${what}: only the oldest, then first by name, is used`,
      'Keep one of them.',
    )
  }
}

// --- Services of one workload -----------------------------------------------------------------------
interface Use {
  readonly service: Of<'Service'>
  readonly port: number
  readonly protocol: string
}

function lintServicesOf(
  workload: Workload,
  services: ReadonlyArray<Of<'Service'>>,
  index: MeshIndex,
): void {
  const uses = new Map<string, Use[]>()
  for (const service of services) {
    const { selector, ports } = service.spec
    if (Object.keys(selector).length === 0 || !selects(selector, workload.labels)) continue
    for (const port of ports) {
      const key = `${port.protocol === 'UDP' ? 'UDP ' : ''}${port.targetPort}`
      const use = { service, port: port.port, protocol: declaredProtocol(port) }
      const list = uses.get(key)
      if (list === undefined) uses.set(key, [use])
      else list.push(use)
    }
  }
  for (const [target, list] of uses) lintTarget(workload, target, list, index)
}

function lintTarget(
  workload: Workload,
  target: string,
  uses: readonly Use[],
  index: MeshIndex,
): void {
  if (new Set(uses.map(({ service }) => service)).size < 2) return
  const names = uses
    .map(
      ({ service, port, protocol }) =>
        `${service.name}:${port} ${protocol || 'detected'} (${originText(service)})`,
    )
    .join(', ')
  if (new Set(uses.map(({ port }) => port)).size > 1)
    report(
      index,
      workload,
      'IST0137',
      `several Services lead to its port ${target} under different ports: ${names}`,
    )
  else if (new Set(uses.map(({ protocol }) => protocol)).size > 1)
    report(
      index,
      workload,
      'IST0116',
      `several Services lead to its port ${target} with different protocols: ${names}`,
    )
}

function report(index: MeshIndex, workload: Workload, code: string, message: string): void {
  const { kind, namespace, name, place } = workload
  const hint = 'One of them decides for inbound traffic: the oldest, then first by name.'
  const problem: Problem = {
    severity: 'warning',
    code,
    ...place,
    message,
    hint,
    object: `${kind} ${namespace}/${name}`,
  }
  index.problems.push(problem)
}

// --- user id ----------------------------------------------------------------------------------------
const PROXY_USER = 1337
const PROXIES = ['istio-proxy', 'outrider', 'istio-validation', 'istio-init']

/** Traffic of the proxy's own user is not captured: an application that runs as it bypasses the mesh. */
export function userIdProblems({ found, namespace, name }: Bystander): Problem[] {
  const problems: Problem[] = []
  const spec =
    found.kind === 'Pod'
      ? within(found.root, 'spec')
      : within(found.root, 'spec', 'template', 'spec')
  const containers = within(spec, 'containers')
  const applications = containers?.kind === 'list' ? containers.items.filter(isApplication) : []
  for (const place of [spec, ...applications]) {
    const user = within(place, 'securityContext', 'runAsUser')
    if (user?.kind !== 'scalar' || user.value !== PROXY_USER) continue
    problems.push({
      severity: 'warning',
      code: 'IST0144',
      file: found.document.source.file,
      ...found.document.position(user.at),
      message: `user id ${PROXY_USER} is the proxy's: traffic of this application bypasses it`,
      hint: 'Choose another runAsUser.',
      object: `${found.kind} ${namespace}/${name}`,
    })
  }
  return problems
}

function isApplication(container: Raw): boolean {
  const name = within(container, 'name')
  return !(name?.kind === 'scalar' && PROXIES.includes(String(name.value)))
}
