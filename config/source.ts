/** Where configuration comes from: always read as a whole, and told when it may have changed. */
import type { SourceFile } from './load.ts'

export type { SourceFile }

export interface SourceReading {
  /** In the order in which objects may replace each other. */
  readonly files: readonly SourceFile[]
  /** Files or whole folders that exist, or should, but could not be read. */
  readonly unreadable: readonly UnreadablePath[]
}

export interface UnreadablePath {
  readonly path: string
  /** One sentence with the system's reason. */
  readonly reason: string
}

export interface ConfigSource {
  /** Rejects never for what lies in the files; `unreadable` tells what is missing. */
  read(): Promise<SourceReading>
  /** Calls back after the content became different from what the last read() gave. */
  watch(onChange: () => void): Watching
}

export interface Watching {
  /** After this nothing is called back any more. */
  close(): void
}
