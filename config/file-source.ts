/**
 * Folders of YAML as a configuration source. Changes are noticed by file events where the system
 * gives them, and by looking again every few seconds where it does not (bind mounts, NFS).
 */
import { type FSWatcher, watch as watchFolder } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { put } from './compile-labels.ts'
import { FileTree, type TreeReading } from './file-tree.ts'
import type { ConfigSource, SourceFile, SourceReading, Watching } from './source.ts'

export interface FileSourceOptions {
  /** Quiet time after the last event before the files are looked at. */
  readonly debounceMs?: number
  /** How often to look when no event comes. A look at very many files makes it rarer. */
  readonly pollMs?: number
  readonly clock?: SourceClock
  /** False: by looking only. */
  readonly events?: boolean
}

/** Time as the source uses it; tests give their own. */
export interface SourceClock {
  /** Milliseconds since 1970. */
  now(): number
  /** Returns how to cancel. */
  after(ms: number, run: () => void): () => void
}

const systemClock: SourceClock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Events that never stop must not put the look off for ever. */
const mostDebounces = 20
/** Identity of a watch on what is around a root. */
const surroundings = 'around'
/** Looking may take one part in so many of the time. */
const pollShare = 20

export class FileSource implements ConfigSource {
  private readonly paths: readonly string[]
  private readonly tree: FileTree
  private readonly clock: SourceClock
  private readonly debounceMs: number
  private readonly pollMs: number
  private readonly events: boolean
  /** What the consumer knows, or has been told about. */
  private latest: TreeReading | undefined

  /** Folders, or single files. */
  constructor(paths: readonly string[], options: FileSourceOptions = {}) {
    this.paths = paths
    this.clock = options.clock ?? systemClock
    this.tree = new FileTree(paths, () => this.clock.now())
    this.debounceMs = options.debounceMs ?? 50
    this.pollMs = options.pollMs ?? 2_000
    this.events = options.events ?? true
  }

  async read(): Promise<SourceReading> {
    this.latest = await this.tree.read()
    return this.latest
  }

  /** What was read last counts as known: a change between read() and watch() is told at once. */
  watch(onChange: () => void): Watching {
    const watch = new Watch({
      paths: this.paths,
      clock: this.clock,
      debounceMs: this.debounceMs,
      pollMs: this.pollMs,
      events: this.events,
      look: () => this.tree.read(),
      latest: () => this.latest,
      tell: (reading) => {
        this.latest = reading
        onChange()
      },
    })
    watch.start()
    return watch
  }
}

interface WatchParts {
  readonly paths: readonly string[]
  readonly clock: SourceClock
  readonly debounceMs: number
  readonly pollMs: number
  readonly events: boolean
  readonly look: () => Promise<TreeReading>
  readonly latest: () => TreeReading | undefined
  readonly tell: (reading: TreeReading) => void
}

class Watch implements Watching {
  private readonly parts: WatchParts
  private readonly watchers = new Map<
    string,
    { readonly identity: string; readonly watcher: FSWatcher }
  >()
  private cancel: () => void = () => {}
  private firstEventAt: number | undefined
  private looking = false
  private again = false
  private closed = false
  /** Not believed yet. */
  private suspect: TreeReading | undefined

  constructor(parts: WatchParts) {
    this.parts = parts
  }

  start(): void {
    void this.look()
  }

  close(): void {
    this.closed = true
    this.cancel()
    for (const { watcher } of this.watchers.values()) watcher.close()
    this.watchers.clear()
  }

  private onEvent(): void {
    if (this.closed) return
    const { clock, debounceMs } = this.parts
    this.firstEventAt ??= clock.now()
    const waited = clock.now() - this.firstEventAt
    const left = Math.max(0, debounceMs * mostDebounces - waited)
    this.lookIn(Math.min(debounceMs, left))
  }

  private lookIn(ms: number): void {
    this.cancel()
    this.cancel = this.parts.clock.after(ms, () => void this.look())
  }

  private async look(): Promise<void> {
    if (this.looking) {
      this.again = true
      return
    }
    this.looking = true
    this.firstEventAt = undefined
    const start = performance.now()
    const reading = await this.parts.look()
    this.looking = false
    if (this.closed) return
    // What happened between reading a folder and watching it gave no event: look once more.
    if (this.follow(reading)) this.again = true
    const wait = this.judge(reading)
    const rare = Math.max(this.parts.pollMs, (performance.now() - start) * pollShare)
    const soon = this.again || this.firstEventAt !== undefined
    this.again = false
    this.lookIn(soon ? this.parts.debounceMs : (wait ?? rare))
  }

  /** Tells a change; returns how soon to look again where it is not yet to be believed. */
  private judge(reading: TreeReading): number | undefined {
    const before = this.parts.latest()
    if (before !== undefined && sameContent(before, reading)) {
      this.suspect = undefined
      return undefined
    }
    // Some editors empty a file before they write it: emptiness is believed when it lasts.
    const emptied = before !== undefined && hasEmptied(before, reading)
    if (emptied && !(this.suspect !== undefined && sameContent(this.suspect, reading))) {
      this.suspect = reading
      return this.parts.debounceMs * 4
    }
    this.suspect = undefined
    this.parts.tell(reading)
    return undefined
  }

  // --- file events ------------------------------------------------------------------------------------
  /**
   * Watches the folders that were found, and around each root, which may be replaced or missing.
   * True when some are watched only now.
   */
  private follow(reading: TreeReading): boolean {
    if (!this.parts.events) return false
    const { folders } = reading
    const around = new Map<string, string[]>()
    for (const path of this.parts.paths)
      if (!folders.has(dirname(path))) put(around, dirname(path), basename(path))
    for (const [path, { identity, watcher }] of this.watchers)
      if ((folders.get(path) ?? (around.has(path) ? surroundings : undefined)) !== identity) {
        watcher.close()
        this.watchers.delete(path)
      }
    let fresh = false
    for (const [path, identity] of folders)
      if (this.watchOne(path, identity, () => true)) fresh = true
    const isFile = (path: string) => reading.files.some((file) => file.path === path)
    for (const [path, names] of around) {
      const all = names.some((name) => isFile(join(path, name)))
      const concerns = (name: string | null) => all || name === null || names.includes(name)
      if (this.watchOne(path, surroundings, concerns)) fresh = true
    }
    return fresh
  }

  private watchOne(
    path: string,
    identity: string,
    concerns: (name: string | null) => boolean,
  ): boolean {
    if (this.watchers.has(path)) return false
    try {
      const watcher = watchFolder(path, { persistent: false }, (event, name) => {
        // So the end of the watched folder itself is told: this watch will say nothing more.
        if (event === 'rename' && name === basename(path)) this.forget(path, watcher)
        else if (concerns(name)) this.onEvent()
      })
      watcher.on('error', () => this.forget(path, watcher))
      this.watchers.set(path, { identity, watcher })
      return true
    } catch {
      // No events from here (missing, out of watches, a file system without them): looking remains.
      return false
    }
  }

  private forget(path: string, watcher: FSWatcher): void {
    watcher.close()
    if (this.watchers.get(path)?.watcher === watcher) this.watchers.delete(path)
    this.onEvent()
  }
}

function sameContent(a: TreeReading, b: TreeReading): boolean {
  return (
    a.files.length === b.files.length &&
    a.files.every((file, index) => isSame(file, b.files[index]!)) &&
    a.unreadable.length === b.unreadable.length &&
    a.unreadable.every(({ path, reason }, index) => {
      const other = b.unreadable[index]!
      return path === other.path && reason === other.reason
    })
  )
}

function isSame(a: SourceFile, b: SourceFile): boolean {
  return a === b || (a.path === b.path && a.text === b.text)
}

function hasEmptied(before: TreeReading, now: TreeReading): boolean {
  const full = new Set(before.files.filter(notEmpty).map(({ path }) => path))
  return now.files.some((file) => !notEmpty(file) && full.has(file.path))
}

function notEmpty({ text }: SourceFile): boolean {
  return text !== ''
}
