/** Settings as numbers, ports and durations; what is wrong is gathered as sentences. */
import {
  type Environment,
  type Given,
  given,
  type RunOptions,
  type RunSetting,
} from './bootstrap-settings.ts'

export class SettingReader {
  /** Each names the setting, its value and the cure. */
  readonly problems: string[] = []
  readonly env: Environment
  private readonly options: RunOptions

  constructor(options: RunOptions, env: Environment) {
    this.options = options
    this.env = env
  }

  get(name: RunSetting): Given | undefined {
    return given(name, this.options, this.env)
  }

  complain(by: string, value: string, what: string): void {
    this.problems.push(`${by} "${value}" ${what}`)
  }

  text(name: RunSetting, otherwise: string): string {
    return this.get(name)?.values[0] ?? otherwise
  }

  port(name: RunSetting, otherwise: number): number {
    const found = this.get(name)
    if (found === undefined) return otherwise
    const [text] = found.values as [string]
    if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
    this.complain(
      found.by,
      text,
      `is not a port: give a number from 0 to 65535, for example ${otherwise}`,
    )
    return otherwise
  }

  wholeNumber({ values, by }: Given, least: number, most: number, what: string): number {
    const [text] = values as [string]
    const number = Number(text)
    if (/^\d+$/.test(text) && number >= least && number <= most) return number
    this.complain(
      by,
      text,
      `is not a number of ${what}: give a whole number from ${least} to ${most}`,
    )
    return least
  }

  duration(name: RunSetting, otherwise: number): number {
    const found = this.get(name)
    if (found === undefined) return otherwise
    const [text] = found.values as [string]
    const seconds = found.by === 'TERMINATION_DRAIN_DURATION_SECONDS' && /^\d+$/.test(text)
    const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(seconds ? `${text}s` : text) ?? []
    const factor = unit === 'ms' ? 1 : unit === 's' ? 1_000 : 60_000
    if (digits !== undefined) return Math.round(Number(digits) * factor)
    this.complain(found.by, text, 'is not a duration: write 500ms, 5s or 1m')
    return otherwise
  }

  /** On or off. */
  flag(name: RunSetting): boolean {
    const found = this.get(name)
    if (found === undefined) return false
    const text = found.values[0]!.toLowerCase()
    if (['true', '1', 'yes', 'on'].includes(text)) return true
    if (!['false', '0', 'no', 'off'].includes(text))
      this.complain(found.by, text, 'is neither true nor false')
    return false
  }
}
