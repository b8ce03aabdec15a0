import { stringify } from 'yaml'
import type { ConfigSource } from './reader.ts'

/** The value, source and meaning of every key as aligned columns. Secrets show as `***`. */
export function explainAsTable(sources: readonly ConfigSource[]): string {
  const rows = [
    ['KEY', 'VALUE', 'SOURCE', 'MEANING'],
    ...sources.map((source) => [source.key, showValue(source.shown), showSource(source), source.help]),
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

/** The same for programs: a list of objects with key, section, value, source, where and help. */
export function explainAsJson(sources: readonly ConfigSource[]): string {
  const list = sources.map((source) => ({
    key: source.key,
    section: source.section,
    value: source.shown ?? null,
    source: source.source,
    where: source.where ?? null,
    help: source.help,
  }))
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** A value in one line of YAML, as it can be written into the file; `-` when there is none. */
export function showValue(value: unknown): string {
  if (value === undefined) return '-'
  if (value === '') return "''"
  if (typeof value !== 'object') return String(value)
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()
}

function showSource(source: ConfigSource): string {
  return source.where === undefined ? source.source : `${source.source} (${source.where})`
}
