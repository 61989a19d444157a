/**
 * Header fields in the order, case and number in which they came; looked up by lower-case name.
 * Hot: one list per head; bench/micro/headers.bench.ts.
 */
export class Headers {
  /** As received or set; index i belongs to values[i]. Read-only outside this class and the codecs. */
  readonly names: string[] = []
  readonly values: string[] = []
  /**
   * The lines of the first `wireFields` fields just as they came, ready to be sent on; for codecs. Any
   * change of one of these fields forgets it, so it saves the making of lines only for heads passed on as
   * they are, which is nearly all (700 ns of 900 for ten fields).
   */
  wire = ''
  wireFields = 0

  get length(): number {
    return this.names.length
  }

  /**
   * Adds a field at the end. What no head may carry never gets in, whoever made the text: in values,
   * other characters than latin1 become UTF-8 bytes and control characters spaces; in names, `_`.
   */
  append(name: string, value: string): void {
    this.names.push(safeFieldName(name))
    this.values.push(safeFieldValue(value))
  }

  /** Adds a field at the end that was checked while it was received; for codecs. */
  received(name: string, value: string): void {
    this.names.push(name)
    this.values.push(value)
  }

  /**
   * Adds a field of the proxy's own at the end; it must be fit to be sent. `line` is all of it, `name:
   * value CRLF`, so that heads passed on as they are stay one text (380 bytes for three fields).
   */
  appendLine(name: string, value: string, line: string): void {
    if (this.wireFields === this.names.length) {
      this.wire += line
      this.wireFields++
    }
    this.names.push(name)
    this.values.push(value)
  }

  /** Index of the first field called `lower` (lower case) from `from` on, or -1. */
  indexOf(lower: string, from = 0): number {
    const names = this.names
    for (let i = from; i < names.length; i++) {
      const name = names[i]!
      if (name.length === lower.length && (name === lower || sameName(name, lower))) return i
    }
    return -1
  }

  /** First value, or undefined. */
  get(lower: string): string | undefined {
    const at = this.indexOf(lower)
    return at < 0 ? undefined : this.values[at]
  }

  has(lower: string): boolean {
    return this.indexOf(lower) >= 0
  }

  /** All values, in order. */
  all(lower: string): string[] {
    const found: string[] = []
    for (let i = this.indexOf(lower); i >= 0; i = this.indexOf(lower, i + 1))
      found.push(this.values[i]!)
    return found
  }

  /** Replaces all fields of that name by one, at the place of the first, or at the end. */
  set(name: string, value: string): void {
    const lower = name.toLowerCase()
    const at = this.indexOf(lower)
    if (at < 0) {
      this.append(name, value)
      return
    }
    if (at < this.wireFields) this.forgetWire()
    this.values[at] = safeFieldValue(value)
    this.removeFrom(lower, at + 1)
  }

  /** Removes all fields of that name; true if there was one. */
  remove(lower: string): boolean {
    return this.removeFrom(lower, 0)
  }

  private forgetWire(): void {
    this.wire = ''
    this.wireFields = 0
  }

  private removeFrom(lower: string, from: number): boolean {
    let found = false
    for (let i = this.indexOf(lower, from); i >= 0; i = this.indexOf(lower, i)) {
      if (i < this.wireFields) this.forgetWire()
      this.names.splice(i, 1)
      this.values.splice(i, 1)
      found = true
    }
    return found
  }
}

function sameName(name: string, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    let c = name.charCodeAt(i)
    if (c >= 65 && c <= 90) c |= 32
    if (c !== lower.charCodeAt(i)) return false
  }
  return true
}

/** Makes any text fit for a field name: nothing that could end a name or a line (RFC 9110 5.1). */
function safeFieldName(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i)
    if (c <= 32 || c >= 127 || (c === 58 && i > 0)) return name.replace(/[^!-9;-~]/g, '_')
  }
  return name === '' ? '_' : name
}

/** Makes any text fit for a field value (RFC 9110 5.5). */
export function safeFieldValue(value: string): string {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if ((c < 32 && c !== 9) || c === 127 || c > 255) return repairedValue(value)
  }
  return value
}

function repairedValue(value: string): string {
  let bytes = value
  for (let i = 0; i < value.length; i++)
    if (value.charCodeAt(i) > 255) {
      bytes = Buffer.from(value, 'utf8').toString('latin1')
      break
    }
  let repaired = ''
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes.charCodeAt(i)
    repaired += (c < 32 && c !== 9) || c === 127 ? ' ' : bytes[i]
  }
  return repaired
}
