/** What people are told once: the same thing may happen with every connection. */

/** Then the oldest is forgotten, and may be told again. */
const most = 1_000

export class Notes {
  private readonly told = new Set<string>()
  private readonly say: (key: string, text: string) => void

  constructor(say: (key: string, text: string) => void) {
    this.say = say
  }

  /** Asked before a text is made. */
  isNew(key: string): boolean {
    return !this.told.has(key)
  }

  tell(key: string, text: string): void {
    if (this.told.has(key)) return
    if (this.told.size >= most) this.told.delete(this.told.values().next().value!)
    this.told.add(key)
    this.say(key, text)
  }
}
