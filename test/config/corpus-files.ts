/** Where Istio's own verdicts lie beside the checkout, for the tests that need them. */
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url))
export const istioConfig = `${shared}corpora/istio-config`
export const istioSamples = `${shared}samples/istio`
export const istioCrds = `${shared}samples/istio-crds/crds.yaml`

/** False when the files are absent: the test is skipped, or fails where everything is required. */
export function needed(t: Test): boolean {
  if (existsSync(istioConfig)) return true
  const reason = `${istioConfig} is not there`
  if (process.env['OUTRIDER_REQUIRE_ALL'] === '1') t.fail(reason)
  else t.plan(0, reason)
  return false
}

/** YAML files below a part of the corpus, relative to it, sorted. */
export function corpusFiles(part: 'valid' | 'data'): string[] {
  return readdirSync(`${istioConfig}/${part}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `${part}/${name}`)
    .sort()
}
