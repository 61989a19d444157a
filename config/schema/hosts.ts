/** How host patterns relate: `*` and leading wildcards compare by suffix. */

/** True when every name that `specific` stands for is one of `general`. */
export function hostCovers(general: string, specific: string): boolean {
  if (!general.startsWith('*')) return general === specific
  const suffix = general.slice(1)
  return specific.startsWith('*') ? specific.slice(1).endsWith(suffix) : specific.endsWith(suffix)
}

/** True when some name is matched by both. */
export function hostsMeet(a: string, b: string): boolean {
  return hostCovers(a, b) || hostCovers(b, a)
}
