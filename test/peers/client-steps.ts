/** What clients of many behaviours do. */
import type { Asked, Dialogue } from './dialogue.ts'

type Steps = (client: Dialogue) => Promise<void>

/** Asks one after the other, each on a connection of its own. */
export function asks(...all: Asked[]): Steps {
  return async (client) => {
    for (const asked of all) await client.ask(asked)
  }
}

export function paths(...all: string[]): Steps {
  return asks(...all.map((path) => ({ path })))
}

/** Sends this as it is, on one connection; then `replies` answers are read and the end, where `ends`. */
export function says(text: string, replies = 1, ends = true): Steps {
  return async (client) => {
    const wire = await client.wire()
    wire.send(text)
    for (let i = 0; i < replies; i++) await wire.answer()
    if (ends) client.notes['end'] = await wire.ended()
  }
}

/** The same request on one connection: kept by both sides. */
export function kept(...all: Asked[]): Steps {
  return async (client) => {
    const wire = await client.wire()
    for (const asked of all) await wire.ask(asked)
  }
}
