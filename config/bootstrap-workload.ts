/** Which workload a proxy works for: name, namespace, labels, identity and addresses. */
import { isIP } from 'node:net'
import { labelsFile, type Machine, parseLabelsFile } from './bootstrap-machine.ts'
import type { SettingReader } from './bootstrap-reader.ts'
import type { Given } from './bootstrap-settings.ts'
import { canonicalAddress } from './compile-names.ts'
import type { WorkloadSpec } from './snapshot.ts'

export function workloadFrom(settings: SettingReader, machine: Machine): WorkloadSpec {
  const labels = labelsFrom(settings, machine)
  const locality = localityFrom(settings)
  return {
    name: settings.text('name', labels['app'] ?? 'workload'),
    namespace: namespaceFrom(settings),
    serviceAccount: settings.text('serviceAccount', 'default'),
    labels,
    addresses: addressesFrom(settings, machine),
    ...(locality === undefined ? {} : { locality }),
  }
}

function localityFrom(settings: SettingReader): string | undefined {
  const found = settings.get('locality')
  if (found === undefined) return undefined
  const [text] = found.values as [string]
  if (!/^[^/*\s]+(\/[^/*\s]+){0,2}$/.test(text))
    settings.complain(
      found.by,
      text,
      'is not a locality: write region, region/zone or region/zone/subzone',
    )
  return text
}

function namespaceFrom(settings: SettingReader): string {
  const found = settings.get('namespace')
  if (found === undefined) return 'default'
  const [name] = found.values as [string]
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    settings.complain(found.by, name, 'is not a namespace: use small letters, digits and "-"')
  return name
}

/** A flag or OUTRIDER_LABELS stands alone; else the downward API's file, ISTIO_METAJSON_LABELS over it. */
function labelsFrom(settings: SettingReader, machine: Machine): Record<string, string> {
  const found = settings.get('labels')
  if (found !== undefined) return parseLabels(settings, found)
  const file = parseLabelsFile(machine.readText(labelsFile) ?? '')
  return { ...file, ...jsonLabels(settings) }
}

function parseLabels(settings: SettingReader, { values, by }: Given): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const pair of values.join(',').split(',')) {
    if (pair.trim() === '') continue
    const [, key, value] = /^\s*([^=\s]+)=(\S*)\s*$/.exec(pair) ?? []
    if (key !== undefined && value !== undefined) labels[key] = value
    else
      settings.complain(
        by,
        pair.trim(),
        'is not a label: write name=value, several separated by commas',
      )
  }
  return labels
}

function jsonLabels(settings: SettingReader): Record<string, string> {
  const variable = 'ISTIO_METAJSON_LABELS'
  const text = settings.env[variable]
  if (text === undefined || text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.fromEntries(Object.entries(value).map(([key, label]) => [key, String(label)]))
  } catch {
    // Told below, like any other text that is no JSON object.
  }
  settings.complain(variable, text, 'is not a JSON object: write {"app":"reviews"}')
  return {}
}

/** INSTANCE_IP is the primary one of INSTANCE_IPS. */
function addressesFrom(settings: SettingReader, machine: Machine): string[] {
  const found = settings.get('ip')
  if (found === undefined) return machine.addresses().map(canonicalAddress)
  const primary = found.by === 'INSTANCE_IPS' ? settings.env['INSTANCE_IP']?.trim() : undefined
  const all = primary === undefined || primary === '' ? found.values : [primary, ...found.values]
  for (const address of all)
    if (isIP(address) === 0)
      settings.complain(found.by, address, 'is not an IP address: give one such as 10.0.0.7')
  return [...new Set(all.map(canonicalAddress))]
}
