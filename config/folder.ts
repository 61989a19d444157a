/** A folder of YAML to texts: every file once, in one order, through Kubernetes' symlinks. */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { compareText } from './diagnostics.ts'

export interface FolderFile {
  /** Below the folder as it was given: people can open it from where they stand. */
  readonly path: string
  readonly text: string
}

const READ = /\.(ya?ml|json)$/i

/**
 * Reads the YAML and JSON files of a folder and its subfolders, sorted by path; a file given instead
 * of a folder is read alone. Names that begin with a dot are skipped: a mounted ConfigMap keeps its
 * files in `..data` and `..2026_...`, to which its visible names are symlinks. Throws the system's
 * error when something cannot be read.
 */
export function readFolder(folder: string): FolderFile[] {
  const seen = new Set<string>()
  const files: FolderFile[] = []
  if (!statSync(folder).isDirectory()) return [{ path: folder, text: readText(folder) }]
  walk(folder, seen, files)
  return files
}

function walk(folder: string, seen: Set<string>, files: FolderFile[]): void {
  const real = realpathSync(folder)
  if (seen.has(real)) return
  seen.add(real)
  const names = readdirSync(folder).sort(compareText)
  for (const name of names) {
    if (name.startsWith('.')) continue
    const path = join(folder, name)
    const stats = statSync(path, { throwIfNoEntry: false })
    // A dangling link is what an editor or a ConfigMap swap leaves for a moment.
    if (stats === undefined) continue
    if (stats.isDirectory()) walk(path, seen, files)
    else if (stats.isFile() && READ.test(name)) {
      const target = realpathSync(path)
      if (seen.has(target)) continue
      seen.add(target)
      files.push({ path, text: readText(path) })
    }
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
