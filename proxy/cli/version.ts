/** `outrider version`, and the version itself for whoever shows it. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'

export function register(program: Command): void {
  program
    .command('version')
    .description('Print the version of Outrider, of Node and of the platform.')
    .option('--format <text|json>', 'how to print it', 'text')
    .action(({ format }: { format: string }) => {
      const facts = versionFacts()
      const { version, node, platform } = facts
      const text = `outrider ${version} (node ${node}, ${platform})`
      process.stdout.write(`${format === 'json' ? JSON.stringify(facts) : text}\n`)
    })
}

export interface VersionFacts {
  readonly version: string
  readonly node: string
  readonly platform: string
}

export function versionFacts(): VersionFacts {
  const { version, arch } = process
  return {
    version: packageVersion(),
    node: version.slice(1),
    platform: `${process.platform}-${arch}`,
  }
}

/** package.json is two levels up from the source, three from dist/. */
function packageVersion(): string {
  for (const place of ['../../package.json', '../../../package.json'])
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'))
      const { name, version } = found as { name?: unknown; version?: unknown }
      if (name === 'outrider' && typeof version === 'string') return version
    } catch {
      // Not there: try the next place.
    }
  return 'unknown'
}
