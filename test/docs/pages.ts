/** Parts of docs/ that are written from the source itself: between `<!-- title -->` and `<!-- end -->`. */
import { runSettings, variableOf } from '../../config/bootstrap-settings.ts'
import { captureOptionTable } from '../../iptables/options.ts'
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import { type AdminParts, adminAnswer } from '../../proxy/control/admin.ts'
import { failureRow } from '../../proxy/exchange/failure.ts'
import { catalogue } from '../../proxy/telemetry/catalogue.ts'
import { flagNames } from '../../proxy/telemetry/exchange-record.ts'
import { operatorNames } from '../../proxy/telemetry/log-values.ts'
import { allBehaviours } from '../peers/behaviours/all.ts'
import { everywhereReasons, reasons as peerReasons, type Reason } from '../peers/differences.ts'
import { documentedKinds, fieldRows, kindsWithoutEffect, takesEffect } from './fields.ts'
import { proofOf } from './proofs.ts'

/** By page, by title. */
export async function generatedBlocks(): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  return new Map([
    ['docs/running.md', new Map([['settings', settings()]])],
    ['docs/configuration.md', fields()],
    ['docs/capture.md', new Map([['capture options', captureOptions()]])],
    ['docs/explain.md', new Map([['reasons', reasons()]])],
    ['docs/envoy.md', peers()],
    [
      'docs/observing.md',
      new Map([
        ['admin pages', await adminPages()],
        ['metrics', metrics()],
        ['log operators', `${operatorNames().map(code).join(', ')}.\n`],
      ]),
    ],
  ])
}

export function blockOf(title: string): RegExp {
  return new RegExp(`(<!-- ${title} -->\n)([^]*?)(<!-- end -->)`)
}

function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  return `${line(head)}|${'---|'.repeat(head.length)}\n${rows.map(line).join('')}`
}

function code(text: string): string {
  return `\`${text}\``
}

function settings(): string {
  const rows = Object.entries(runSettings).map(([name, setting]) => {
    const istio = 'istio' in setting ? setting.istio : []
    const variables = [variableOf(name as keyof typeof runSettings), ...istio]
    return [code(setting.flag), variables.map(code).join(', '), setting.help]
  })
  return table(['Flag', 'Environment', ''], rows)
}

function fields(): ReadonlyMap<string, string> {
  const blocks = new Map<string, string>()
  const told = 'Known, read by nobody yet, and told once per object'
  blocks.set('kinds without effect', `${told}: ${kindsWithoutEffect.join(', ')}.\n`)
  for (const [kind, type] of documentedKinds()) {
    const rows = fieldRows(kind, type).map(({ path, effect }) => {
      const proof = takesEffect(effect) ? proofOf(kind, path) : undefined
      return [code(path), effect, ...(proof ? [code(proof.where), code(proof.test)] : ['', ''])]
    })
    const titles = ['Field', 'Takes effect', 'Where', 'Proven by']
    if (rows.length > 0) blocks.set(`fields ${kind}`, table(titles, rows))
  }
  return blocks
}

function captureOptions(): string {
  const rows = captureOptionTable.map(({ annotations, defaultText, env, flag, help }) => [
    code(`--${flag}`),
    annotations.map(code).join(', '),
    code(env),
    defaultText === '' ? '' : code(defaultText),
    help,
  ])
  return table(['Flag', 'Annotation', 'Environment', 'Default', ''], rows)
}

function reasons(): string {
  const rows = Object.values(ErrorCode).map((reason) => {
    const { flags, retryOn, status, text } = failureRow(new ProxyError(reason, Side.Proxy))
    const told = status === 0 ? 'nobody is left to tell' : String(status)
    return [
      code(reason),
      told,
      flags === 0 ? '' : flagNames(flags),
      text,
      retryOn.map(code).join(' '),
    ]
  })
  return table(['Reason', 'Status', 'Flag', "Envoy's text", 'Retried by'], rows)
}

/** The list that the first page shows. */
async function adminPages(): Promise<string> {
  const ask = adminAnswer({ ownName: '' } as AdminParts)
  const query = new URLSearchParams()
  const { body } = await ask({
    method: 'GET',
    path: '/',
    query,
    host: 'localhost',
    origin: '',
    accept: '',
  })
  const lines = String(body).matchAll(/^ {2}(\/\S*) +(.*)$/gm)
  return table(
    ['Page', ''],
    [...lines].map(([, path, help]) => [code(path!), help!]),
  )
}

function metrics(): string {
  const rows = Object.values(catalogue).map(({ help, kind, labels, name }) => {
    const shown = labels.length > 6 ? "Istio's standard labels" : labels.map(code).join(', ')
    return [code(name), kind, shown, help]
  })
  return table(['Name', 'Kind', 'Labels', ''], rows)
}

/** What is compared with Envoy, and what differs. */
function peers(): ReadonlyMap<string, string> {
  const all = allBehaviours.flatMap(([, rows]) => rows)
  const seenIn = (reason: Reason): string => {
    if (everywhereReasons.includes(reason)) return 'many'
    const rows = all.filter(({ differs = [] }) => differs.some(({ why }) => why === reason))
    return rows.map(({ name }) => name).join('; ')
  }
  const names = Object.keys(peerReasons) as Reason[]
  const differences = names.map((name) => {
    const { what, why } = peerReasons[name]
    return [what, why, seenIn(name)]
  })
  const lists = allBehaviours.map(
    ([title, rows]) =>
      `**${title}** (${rows.length})\n\n${rows.map(({ name }) => `- ${name}\n`).join('')}`,
  )
  return new Map([
    ['count', `${all.length} behaviours are compared.\n`],
    ['differences', table(['Difference', 'Reason', 'Seen in'], differences)],
    ['behaviours', lists.join('\n')],
  ])
}
