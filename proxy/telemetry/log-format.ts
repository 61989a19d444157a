/**
 * Access log formats: Envoy's text with `%OPERATOR(argument):length%`, or a JSON object whose strings
 * are such texts, compiled once. Hot: bench/micro/access-log.bench.ts.
 */
import {
  clean,
  findOperator,
  isForeign,
  type LogRecord,
  type LogValue,
  type Operator,
} from './log-values.ts'

/** A record as a line, newline included. */
export type LineFormat = (record: LogRecord) => string

export interface CompiledFormat {
  readonly line: LineFormat
  /** What could not be understood, one sentence each. */
  readonly problems: readonly string[]
}

/** Istio's default, field for field. */
export const istioTextFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% ' +
  '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ' +
  '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n'

/** Istio's default fields, and two of our own at the end. */
export const istioJsonFormat: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  origin: '%OUTRIDER_ORIGIN%',
  config_version: '%CONFIG_VERSION%',
}

/** `literals[0] operators[0] literals[1] operators[1] ... literals[n]` */
interface Template {
  readonly literals: readonly string[]
  readonly operators: readonly Operator[]
}

/** `format` ``: Istio's default. A format that does not end its line gets its end. */
export function compileText(format: string): CompiledFormat {
  const problems: string[] = []
  const text = format === '' ? istioTextFormat : format.endsWith('\n') ? format : `${format}\n`
  const template = parse(text, problems, true)
  return { line: (record) => render(template, record), problems }
}

/** `format` ``: Istio's default fields; else the text of a JSON object. */
export function compileJson(format: string): CompiledFormat {
  const problems: string[] = []
  let fields: unknown = istioJsonFormat
  if (format !== '') {
    try {
      fields = JSON.parse(format)
    } catch (cause) {
      problems.push(`the access log format is not JSON, the default is used: ${String(cause)}`)
    }
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    problems.push('the access log format is not a JSON object, the default is used')
    fields = istioJsonFormat
  }
  const write = compileValue(fields, problems)
  return { line: (record) => `${write(record)}\n`, problems }
}

type WriteValue = (record: LogRecord) => string

function compileValue(value: unknown, problems: string[]): WriteValue {
  if (typeof value === 'string') return compileString(value, problems)
  if (Array.isArray(value)) {
    const items = value.map((item) => compileValue(item, problems))
    return (record) => `[${items.map((item) => item(record)).join(',')}]`
  }
  if (typeof value === 'object' && value !== null)
    return compileObject(value as Record<string, unknown>, problems)
  const constant = JSON.stringify(value)
  return () => constant
}

function compileObject(fields: Record<string, unknown>, problems: string[]): WriteValue {
  const keys: string[] = []
  const values: WriteValue[] = []
  for (const [name, value] of Object.entries(fields)) {
    keys.push(`${keys.length === 0 ? '{' : ','}${JSON.stringify(name)}:`)
    values.push(compileValue(value, problems))
  }
  if (keys.length === 0) return () => '{}'
  return (record) => {
    let text = ''
    for (let i = 0; i < keys.length; i++) text += keys[i]! + values[i]!(record)
    return `${text}}`
  }
}

/** One operator alone keeps its type; anything else is text. */
function compileString(format: string, problems: string[]): WriteValue {
  const template = parse(format, problems, false)
  const { literals, operators } = template
  if (operators.length === 1 && literals[0] === '' && literals[1] === '') {
    const operator = operators[0]!
    return (record) => jsonValue(operator(record))
  }
  return (record) => jsonText(render(template, record))
}

function jsonValue(value: LogValue): string {
  if (value === undefined || value === '') return 'null'
  return typeof value === 'number' ? String(value) : jsonText(value)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what JSON must escape
const needsEscape = /["\\\x00-\x1f\ud800-\udfff]/

function jsonText(text: string): string {
  return needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`
}

function render({ literals, operators }: Template, record: LogRecord): string {
  let text = literals[0]!
  for (let i = 0; i < operators.length; i++) {
    const value = operators[i]!(record)
    text += (value === undefined || value === '' ? '-' : value) + literals[i + 1]!
  }
  return text
}

const operatorPattern = /%(?:%|([A-Z_][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%)/g

/** `escaping`: text, where a quote in a value could be taken for the end of the value. */
function parse(format: string, problems: string[], escaping: boolean): Template {
  const literals: string[] = []
  const operators: Operator[] = []
  let literal = ''
  let from = 0
  for (const match of format.matchAll(operatorPattern)) {
    literal += plain(format.slice(from, match.index), problems)
    from = match.index + match[0].length
    const name = match[1]
    if (name === undefined) {
      literal += '%'
      continue
    }
    const operator = findOperator(name, match[2] ?? '')
    if (operator === undefined)
      problems.push(`${match[0]} in the access log format is not supported: it is written as -`)
    literals.push(literal)
    literal = ''
    const safe =
      operator !== undefined && escaping && isForeign(name) ? cleaned(operator) : operator
    operators.push(cut(safe ?? (() => undefined), match[3]))
  }
  literals.push(literal + plain(format.slice(from), problems))
  return { literals, operators }
}

function plain(text: string, problems: string[]): string {
  if (/%[A-Z_]/.test(text))
    problems.push(`${text} in the access log format has a % without its end`)
  return text
}

function cleaned(operator: Operator): Operator {
  return (record) => {
    const value = operator(record)
    return typeof value === 'string' ? clean(value) : value
  }
}

/** `:length` keeps the beginning. */
function cut(operator: Operator, length: string | undefined): Operator {
  if (length === undefined) return operator
  const most = Number(length)
  return (record) => {
    const value = operator(record)
    return value === undefined ? undefined : String(value).slice(0, most)
  }
}
