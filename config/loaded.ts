/** What reading one or more folders gives: everything usable, and everything to be said about the rest. */
import type { KnownResource } from './kinds.ts'
import type { Problem } from './resource.ts'

export interface Loaded {
  readonly resources: readonly KnownResource[]
  /** The same by `Kind namespace/name`. */
  readonly byTitle: ReadonlyMap<string, KnownResource>
  readonly problems: readonly Problem[]
  /** `Kind namespace/name` of objects that were refused: quarantined, their last good version stays. */
  readonly refused: readonly string[]
  /**
   * Files with a document that is not YAML. Their other documents are in `resources`; what was last
   * read from such a file and is not there now stays.
   */
  readonly unreadableFiles: readonly string[]
}
