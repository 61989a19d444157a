/** The regular expressions of the configuration: RE2's syntax and its linear time. */
import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'

type Engine = typeof import('re2js')
let engine: Engine | undefined

/** The engine is loaded at the first call: it takes 2 MB of each thread, and few configurations need it. */
export function compileRegex(pattern: string): RE2JS {
  engine ??= createRequire(import.meta.url)('re2js') as Engine
  return engine.RE2JS.compile(pattern)
}
