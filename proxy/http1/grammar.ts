/** Which bytes may stand where in an HTTP/1 message (RFC 9110 5.6, RFC 9112, RFC 3986), as one table. */

export const cr = 13
export const lf = 10
export const space = 32
export const tab = 9

/** Bits of `byteClass`. */
export const ByteClass = {
  /** tchar: methods, field names, list tokens. */
  Token: 1,
  /** Field values: visible, obs-text, space, tab. */
  Value: 2,
  /** Request targets: visible ASCII. Anything the URI grammar excludes but clients send (`|`, `"`) is let pass. */
  Target: 4,
  /** Authorities without userinfo. */
  Authority: 8,
  Digit: 16,
} as const

export const byteClass = makeTable()

function makeTable(): Uint8Array {
  const table = new Uint8Array(256)
  const mark = (text: string, bit: number): void => {
    for (const c of text) table[c.charCodeAt(0)]! |= bit
  }
  const alphanumeric = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
  mark("!#$%&'*+-.^_`|~", ByteClass.Token)
  mark(alphanumeric, ByteClass.Token | ByteClass.Authority)
  mark("-._~%!$&'()*+,;=:[]", ByteClass.Authority)
  mark('0123456789', ByteClass.Digit)
  mark('\t ', ByteClass.Value)
  for (let c = 0x21; c < 0x7f; c++) table[c]! |= ByteClass.Value | ByteClass.Target
  for (let c = 0x80; c < 0x100; c++) table[c]! |= ByteClass.Value
  return table
}

/** Hexadecimal digit values; 255 for other bytes. */
export const hexValue = makeHexTable()

function makeHexTable(): Uint8Array {
  const table = new Uint8Array(256).fill(255)
  for (let i = 0; i < 10; i++) table[0x30 + i] = i
  for (let i = 0; i < 6; i++) {
    table[0x41 + i] = 10 + i
    table[0x61 + i] = 10 + i
  }
  return table
}

/** Non-zero for bytes of one class: hot loops save the mask. */
export const tokenByte = byteClass.map((bits) => bits & ByteClass.Token)
export const valueByte = byteClass.map((bits) => bits & ByteClass.Value)
export const targetByte = byteClass.map((bits) => bits & ByteClass.Target)

/** True when every character of `text` has the class; false for the empty text. */
export function consistsOf(text: string, bit: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c > 255 || (byteClass[c]! & bit) === 0) return false
  }
  return text.length > 0
}
