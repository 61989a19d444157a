/** Counts which version of reviews answers the page. */
import { ask } from './mesh.ts'

export interface Shares {
  /** By version, `v1`. */
  readonly counts: ReadonlyMap<string, number>
  readonly failures: ReadonlyArray<string>
  readonly total: number
}

interface Product {
  readonly reviews: {
    readonly status: number
    readonly body: { readonly version?: string } | string
  }
}

/** Asks the page's JSON form `total` times, a few at once. */
export async function measure(pageUrl: string, total: number, user?: string): Promise<Shares> {
  const counts = new Map<string, number>()
  const failures: string[] = []
  let left = total
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const version = await versionServed(pageUrl, user)
      if (version.startsWith('v')) counts.set(version, (counts.get(version) ?? 0) + 1)
      else failures.push(version)
    }
  }
  await Promise.all([one(), one(), one(), one()])
  return { counts, failures, total }
}

/** `v2`, or what went wrong. */
export async function versionServed(pageUrl: string, user?: string): Promise<string> {
  const url = new URL('/api/v1/products/0', pageUrl)
  if (user !== undefined) url.searchParams.set('user', user)
  const { status, body } = await ask(url.href)
  if (status !== 200) return `${status} ${body}`
  const { reviews } = JSON.parse(body) as Product
  if (reviews.status !== 200 || typeof reviews.body === 'string')
    return `reviews answered ${reviews.status} ${JSON.stringify(reviews.body)}`
  return reviews.body.version ?? 'no version'
}

/** `v1  90.3 %  v3   9.7 %` */
export function sharesText({ counts, total, failures }: Shares): string {
  const parts = [...counts.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([version, count]) => `${version} ${((100 * count) / total).toFixed(1).padStart(5)} %`)
  if (failures.length > 0) parts.push(`${failures.length} failed: ${failures[0]}`)
  return parts.join('   ')
}

/** True when `count` of `total` is within the 99.9 % interval of a binomial share. */
export function isShare(count: number, total: number, share: number): boolean {
  const deviation = Math.sqrt(total * share * (1 - share))
  return Math.abs(count - total * share) <= 3.2905 * deviation + 0.5
}
