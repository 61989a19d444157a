/** What concerns workloads: which Sidecar applies, Services that contradict each other, user ids. */
import { declaredProtocol } from './lint-services.ts'
import { type Bystander, type MeshIndex, type Of, originText, type Workload } from './mesh-index.ts'
import { type Raw, within } from './raw.ts'
import type { Problem } from './resource.ts'

export function lintWorkloads(index: MeshIndex): void {
  lintSidecars(index)
  const uses = new Map<Workload, Map<string, Use[]>>()
  for (const service of index.of('Service')) collectUses(service, uses, index)
  for (const [workload, byTarget] of uses)
    for (const [target, list] of byTarget) lintTarget(workload, target, list, index)
}

// --- Sidecars ---------------------------------------------------------------------------------------
function lintSidecars(index: MeshIndex): void {
  const byNamespace = Map.groupBy(index.of('Sidecar'), (sidecar) => sidecar.namespace)
  for (const [namespace, sidecars] of byNamespace) {
    const general = sidecars.filter(({ spec }) => !isSelective(spec.workloadSelector))
    reportRivals(general, 'IST0111', ['spec'], `for the whole namespace ${namespace}`, index)
    lintSelectors(
      sidecars.filter(({ spec }) => isSelective(spec.workloadSelector)),
      index,
    )
  }
}

function isSelective(selector: Readonly<Record<string, string>> | undefined): boolean {
  return selector !== undefined && Object.keys(selector).length > 0
}

const LABELS = ['spec', 'workloadSelector', 'labels']

function lintSelectors(sidecars: ReadonlyArray<Of<'Sidecar'>>, index: MeshIndex): void {
  const chosenBy = new Map<Workload, Array<Of<'Sidecar'>>>()
  for (const sidecar of sidecars) {
    const selector = sidecar.spec.workloadSelector ?? {}
    const workloads = index.selected(sidecar.namespace, selector)
    for (const workload of workloads) {
      const list = chosenBy.get(workload)
      if (list === undefined) chosenBy.set(workload, [sidecar])
      else list.push(sidecar)
    }
    // Without any workload in the files nothing can be said: theirs may come from flags.
    if (workloads.length > 0 || index.workloads.length === 0) continue
    const labels = Object.entries(selector).map((pair) => pair.join('='))
    const message = `no workload of namespace ${sidecar.namespace} in these files has ${labels.join(', ')}`
    index.add('warning', 'IST0101', sidecar, LABELS, message)
  }
  const told = new Set<Of<'Sidecar'>>()
  for (const [workload, chosen] of chosenBy) {
    if (chosen.length < 2 || chosen.every((sidecar) => told.has(sidecar))) continue
    for (const sidecar of chosen) told.add(sidecar)
    reportRivals(chosen, 'IST0110', LABELS, `for ${workload.kind} ${workload.name}`, index)
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

/** What leads to each port of each template; Pods repeat their template. */
function collectUses(
  service: Of<'Service'>,
  uses: Map<Workload, Map<string, Use[]>>,
  index: MeshIndex,
): void {
  for (const workload of index.selected(service.namespace, service.spec.selector)) {
    if (workload.kind === 'Pod' || workload.kind === 'WorkloadEntry') continue
    const byTarget = uses.get(workload) ?? new Map<string, Use[]>()
    uses.set(workload, byTarget)
    for (const port of service.spec.ports) {
      const key = `${port.protocol === 'UDP' ? 'UDP ' : ''}${port.targetPort}`
      const use = { service, port: port.port, protocol: declaredProtocol(port) }
      const list = byTarget.get(key)
      if (list === undefined) byTarget.set(key, [use])
      else list.push(use)
    }
  }
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
