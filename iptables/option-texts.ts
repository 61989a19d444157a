/** Capture options from texts: of flags, environment variables or a Pod's annotations. */
import { type CaptureOptions, captureOptionTable, type OptionName } from './options.ts'
import { InvalidValue } from './values.ts'

/** A value that cannot be used. */
export interface OptionProblem {
  readonly option: OptionName
  /** Where the value stood: the flag, the variable or the annotation. */
  readonly source: string
  readonly message: string
}

export type OptionTexts = Partial<
  Record<OptionName, { readonly text: string; readonly source: string }>
>

/** The options of these texts, defaults for the rest; all problems at once. */
export function readCaptureOptions(texts: OptionTexts): {
  options: CaptureOptions
  problems: OptionProblem[]
} {
  const problems: OptionProblem[] = []
  const values: Record<string, unknown> = {}
  for (const { name, read, defaultText, flag } of captureOptionTable) {
    const given = texts[name]
    try {
      values[name] = read(given?.text ?? defaultText)
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error
      values[name] = read(defaultText)
      problems.push({ option: name, source: given?.source ?? `--${flag}`, message: error.message })
    }
  }
  const options = values as unknown as CaptureOptions
  if (problems.length === 0) problems.push(...contradictions(options, texts))
  return { options, problems }
}

/** The defaults. */
export function defaultCaptureOptions(): CaptureOptions {
  return readCaptureOptions({}).options
}

/** The texts in these variables (`OUTRIDER_...`); a variable that is set but blank counts. */
export function textsFromEnv(env: Readonly<Record<string, string | undefined>>): OptionTexts {
  const texts: OptionTexts = {}
  for (const { name, env: variable } of captureOptionTable) {
    const text = env[variable]
    if (text !== undefined) texts[name] = { text, source: variable }
  }
  return texts
}

/** The texts in a Pod's annotations. */
export function textsFromAnnotations(annotations: Readonly<Record<string, string>>): OptionTexts {
  const texts: OptionTexts = {}
  for (const { name, annotations: keys } of captureOptionTable) {
    const key = keys.find((candidate) => annotations[candidate] !== undefined)
    if (key !== undefined) texts[name] = { text: annotations[key]!, source: key }
  }
  return texts
}

/** Values that are right by themselves but not together. */
function contradictions(options: CaptureOptions, texts: OptionTexts): OptionProblem[] {
  const problems: OptionProblem[] = []
  const complain = (name: OptionName, message: string) => {
    const row = captureOptionTable.find((candidate) => candidate.name === name)
    problems.push({ option: name, source: texts[name]?.source ?? `--${row?.flag}`, message })
  }
  const dns = options.excludeOutboundPorts.some(({ first, last }) => first <= 53 && 53 <= last)
  if (dns && options.dnsCapture !== 'off')
    complain('excludeOutboundPorts', 'port 53 is excluded while DNS capture is on: choose one')
  const listening = ['outboundPort', 'inboundPort', 'tunnelPort', 'dnsPort'] as const
  listening.forEach((name, index) => {
    const twin = listening.slice(0, index).find((other) => options[other] === options[name])
    if (twin !== undefined) complain(name, `${options[name]} is also the ${twin}: they must differ`)
  })
  const both = options.excludeInterfaces.find((i) => options.rerouteVirtualInterfaces.includes(i))
  if (both !== undefined)
    complain('rerouteVirtualInterfaces', `${both} is also excluded: it can be only one of both`)
  return problems
}
