/** The YAML and JSON files of folders, read again only where something may have changed. */
import type { BigIntStats } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { compareText } from './diagnostics.ts'
import type { SourceFile, SourceReading, UnreadablePath } from './source.ts'

export interface TreeReading extends SourceReading {
  /** Real folders that were entered, with their identities: where changes will show. */
  readonly folders: ReadonlyMap<string, string>
}

interface KnownFile {
  readonly signature: string
  readonly readAt: number
  readonly modifiedAt: number
  readonly file: SourceFile
}

const READ = /\.(ya?ml|json)$/i
/** Clocks of file systems may be this coarse: what changed just before it was read is read again. */
const coarseClockMs = 2_000

/** The rules are those of readFolder(): sorted, symlinks followed, every real file once, no dot names. */
export class FileTree {
  private readonly roots: readonly string[]
  private readonly now: () => number
  private known = new Map<string, KnownFile>()

  constructor(roots: readonly string[], now: () => number) {
    this.roots = roots
    this.now = now
  }

  /** A file whose content is the same is the same object as before. */
  async read(): Promise<TreeReading> {
    const walk = new Walk(this.known, this.now)
    for (const root of this.roots) await walk.root(root)
    this.known = walk.read
    const files = [...walk.read.values()].map(({ file }) => file)
    return { files, unreadable: walk.unreadable, folders: walk.folders }
  }
}

class Walk {
  readonly read = new Map<string, KnownFile>()
  readonly unreadable: UnreadablePath[] = []
  readonly folders = new Map<string, string>()
  private readonly before: ReadonlyMap<string, KnownFile>
  private readonly now: () => number
  private readonly seenFiles = new Set<string>()

  constructor(before: ReadonlyMap<string, KnownFile>, now: () => number) {
    this.before = before
    this.now = now
  }

  async root(path: string): Promise<void> {
    const stats = await this.stats(path, true)
    if (stats === undefined) return
    if (stats.isDirectory()) await this.folder(path, stats)
    else await this.file(path, stats)
  }

  private async folder(path: string, stats: BigIntStats): Promise<void> {
    try {
      const real = await realpath(path)
      if (this.folders.has(real)) return
      // A folder that is removed and made again may get the same inode.
      this.folders.set(real, `${stats.dev} ${stats.ino} ${stats.birthtimeNs}`)
      const names = (await readdir(path)).sort(compareText)
      for (const name of names) if (!name.startsWith('.')) await this.entry(join(path, name), name)
    } catch (error) {
      this.fail(path, error)
    }
  }

  private async entry(path: string, name: string): Promise<void> {
    const stats = await this.stats(path, false)
    if (stats === undefined) return
    if (stats.isDirectory()) await this.folder(path, stats)
    else if (stats.isFile() && READ.test(name)) await this.file(path, stats)
  }

  private async file(path: string, stats: BigIntStats): Promise<void> {
    try {
      const real = await realpath(path)
      if (this.seenFiles.has(real)) return
      this.seenFiles.add(real)
      const known = this.before.get(path)
      const signature = `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`
      const same = known?.signature === signature
      if (same && known.readAt - known.modifiedAt > coarseClockMs) this.read.set(path, known)
      else this.read.set(path, await this.fresh(path, signature, stats, known))
    } catch (error) {
      if (!isGone(error)) this.fail(path, error)
    }
  }

  private async fresh(
    path: string,
    signature: string,
    stats: BigIntStats,
    known: KnownFile | undefined,
  ): Promise<KnownFile> {
    const readAt = this.now()
    const text = await readFile(path, 'utf8')
    const file = known?.file.text === text ? known.file : { path, text }
    const modifiedAt = Number(stats.ctimeMs > stats.mtimeMs ? stats.ctimeMs : stats.mtimeMs)
    return { signature, readAt, modifiedAt, file }
  }

  /** Undefined: there is nothing, which below a root is what editors leave for a moment. */
  private async stats(path: string, isRoot: boolean): Promise<BigIntStats | undefined> {
    try {
      return await stat(path, { bigint: true })
    } catch (error) {
      if (isRoot || !isGone(error)) this.fail(path, error)
      return undefined
    }
  }

  private fail(path: string, error: unknown): void {
    this.unreadable.push({ path, reason: reasonOf(error) })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function isGone(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR'
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  ELOOP: 'its symbolic links lead in a circle',
  ESTALE: 'its file system has gone away',
  EMFILE: 'this process has too many open files',
}

function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (REASONS[code] !== undefined) return REASONS[code]
  return error instanceof Error ? error.message : String(error)
}
