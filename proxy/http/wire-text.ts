/**
 * Text of the configuration as it looks on the wire: heads hold one character per byte (latin1), so
 * what is written in YAML as UTF-8 must become its bytes before it is compared or sent.
 */
export function wireText(text: string): string {
  for (let i = 0; i < text.length; i++)
    if (text.charCodeAt(i) > 127) return Buffer.from(text, 'utf8').toString('latin1')
  return text
}

/** The other way, for people: bytes of a head read as UTF-8. */
export function readableText(wire: string): string {
  return Buffer.from(wire, 'latin1').toString('utf8')
}
