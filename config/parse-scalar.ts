/** What an unquoted YAML scalar means to Kubernetes, which reads YAML 1.1 in Go's dialect. */
const WORDS = new Map<string, boolean | null | number>([
  ['', null],
  ['~', null],
  ...['null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map(
    (word) => [word, true] as const,
  ),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False', 'FALSE'].map(
    (word) => [word, false] as const,
  ),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map(
    (word) => [word, Number.POSITIVE_INFINITY] as const,
  ),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
])
const LONGEST_WORD = 5
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/
const PREFIXED = /^([-+]?)(0x[0-9a-f]+|0b[01]+|0o?[0-7]+)$/i

export function resolvePlain(text: string): string | number | boolean | null {
  if (text.length <= LONGEST_WORD) {
    const word = WORDS.get(text)
    if (word !== undefined) return word
  }
  const first = text.charCodeAt(0)
  // 0-9 + - .
  if (!((first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46)) return text
  return numberOf(text.includes('_') ? text.replaceAll('_', '') : text) ?? text
}

function numberOf(text: string): number | undefined {
  const prefixed = PREFIXED.exec(text)
  if (prefixed !== null) {
    const digits = prefixed[2]!.toLowerCase()
    const value = /^0[xbo]/.test(digits) ? Number(digits) : Number.parseInt(digits, 8)
    return prefixed[1] === '-' ? -value : value
  }
  return FLOAT.test(text) ? Number(text) : undefined
}

/** True for the words that YAML 1.1 takes as booleans although people mean text. */
export function isBooleanWord(text: string): boolean {
  return /^(y|yes|on|n|no|off)$/i.test(text) && typeof WORDS.get(text) === 'boolean'
}
