/**
 * The one canonical view of a request target, used by authorisation, routing and forwarding alike
 * (Istio pathNormalization; Envoy normalize_path, merge_slashes). Hot: bench/micro/routing.bench.ts.
 */
export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'

/**
 * The canonical form of a target, without fragment, its query untouched. The very same string when it
 * was canonical already; `` when it must be refused with 400 (`%00`). `*` and authorities stay.
 */
export function canonicalTarget(target: string, mode: PathNormalization): string {
  if (isCanonical(target, mode)) return target
  const hash = target.indexOf('#')
  const whole = hash < 0 ? target : target.slice(0, hash)
  if (mode === 'NONE' || whole.charCodeAt(0) !== Slash) return whole
  const end = pathEnd(whole)
  const path = canonicalPath(whole.slice(0, end), mode)
  return path === '' ? '' : path + whole.slice(end)
}

/** The path of a target: without query and fragment; the same string when it has none. */
export function pathOf(target: string): string {
  const question = target.indexOf('?')
  const end = question < 0 ? target.length : question
  const hash = target.indexOf('#')
  if (hash >= 0 && hash < end) return target.slice(0, hash)
  return end === target.length ? target : target.slice(0, end)
}

function pathEnd(target: string): number {
  const question = target.indexOf('?')
  return question < 0 ? target.length : question
}

const Slash = 47
const Dot = 46
const Percent = 37
const Backslash = 92

/** What a path character asks for. */
const Class = { Plain: 0, Unreserved: 1, Escape: 2, Look: 3 } as const

const classes = new Uint8Array(256).fill(Class.Escape)
for (let c = 33; c < 127; c++) classes[c] = Class.Plain
for (const c of '"<>^`{|}') classes[c.charCodeAt(0)] = Class.Escape
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~.')
  classes[c.charCodeAt(0)] = Class.Unreserved
for (const c of '%\\#/?') classes[c.charCodeAt(0)] = Class.Look

/** One scan without allocation; may say no of a canonical target with an escape in it, never yes of another. */
function isCanonical(target: string, mode: PathNormalization): boolean {
  if (mode === 'NONE' || target.charCodeAt(0) !== Slash) return !target.includes('#')
  const merge = mode !== 'BASE'
  const length = target.length
  for (let i = 0; i < length; i++) {
    const c = target.charCodeAt(i)
    const kind = classes[c]
    if (kind === Class.Plain || kind === Class.Unreserved) continue
    if (c === Slash) {
      const next = target.charCodeAt(i + 1)
      if (next === Dot && isDotSegment(target, i + 1)) return false
      if (merge && next === Slash) return false
      continue
    }
    if (c === 63) return target.indexOf('#', i) < 0
    return false
  }
  return true
}

/** True if the segment that starts at `start` with a dot is `.` or `..`. */
function isDotSegment(target: string, start: number): boolean {
  const second = target.charCodeAt(start + 1)
  return isSegmentEnd(second) || (second === Dot && isSegmentEnd(target.charCodeAt(start + 2)))
}

function isSegmentEnd(c: number): boolean {
  return Number.isNaN(c) || c === Slash || c === 63 || c === 35 || c === Backslash
}

function canonicalPath(path: string, mode: PathNormalization): string {
  const decoded = mode === 'DECODE_AND_MERGE_SLASHES' ? path.replace(/%(?:2f|5c)/gi, '/') : path
  const escaped = decodeAndEscape(decoded)
  if (escaped === '') return ''
  const resolved = removeDotSegments(escaped)
  return mode === 'BASE' ? resolved : resolved.replace(/\/{2,}/g, '/')
}

/**
 * Unreserved escapes decoded, `\` turned, what may not stand in a path escaped; `` for `%00`. A `%` that
 * was no escape and would become one by what was decoded behind it is written `%25`: nothing that
 * decodes again sees another path.
 */
function decodeAndEscape(path: string): string {
  let out = ''
  /** Where the last `%` that is no escape stands in `out`. */
  let stray = -1
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i)
    if (c === Percent) {
      const byte = escapedByte(path, i)
      if (byte === 0) return ''
      if (byte < 0) {
        stray = out.length
        out += '%'
        continue
      }
      out += classes[byte] === Class.Unreserved ? String.fromCharCode(byte) : path.slice(i, i + 3)
      i += 2
    } else if (c === Backslash) out += '/'
    else if (c > 255) out += encodeURIComponent(path[i]!)
    else if (classes[c] === Class.Escape) out += `%${hex(c)}`
    else out += path[i]
    if (stray >= 0 && stray === out.length - 3 && escapedByte(out, stray) >= 0)
      out = `${out.slice(0, stray)}%25${out.slice(stray + 1)}`
  }
  return out
}

/** The byte that `%XX` at `at` stands for, or -1 when these are no hexadecimal digits. */
function escapedByte(path: string, at: number): number {
  const digits = path.slice(at + 1, at + 3)
  return /^[0-9a-f]{2}$/i.test(digits) ? Number.parseInt(digits, 16) : -1
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}

/** RFC 3986 5.2.4; empty segments count as segments. */
function removeDotSegments(path: string): string {
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if (last && (segment === '.' || segment === '..')) kept.push('')
  }
  return `/${kept.join('/')}`
}
