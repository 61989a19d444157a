/** Folders on disk that end with their test. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export function emptyFolder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'outrider-test-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Puts a file there at once, as a tool that replaces certificates would, and returns its path. */
export function put(folder: string, name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
  return file
}

/** Puts files into a folder of the test's own. */
export function filesOf(t: Test): (name: string, text: string) => string {
  const folder = emptyFolder(t)
  return (name, text) => put(folder, name, text)
}
