import { explainAsJson, explainAsTable } from '../platform/config/explain.ts'
import { type LoadedConfig, loadConfig } from '../platform/config/load.ts'
import { nearestName } from '../platform/config/nearest.ts'
import { ConfigError, type ConfigProblem, describeProblem } from '../platform/config/problem.ts'
import { missingSecrets } from '../platform/config/provide-secrets.ts'
import { configSchema as schemaDocument } from '../platform/config/schema.ts'
import type { ConfigInput } from '../platform/config/sources.ts'

/** What a command prints and how the process ends: 0 is fine, 1 means that the configuration cannot be used. */
export interface CommandResult {
  readonly text: string
  readonly exitCode: 0 | 1
}

export type OutputFormat = 'table' | 'json'

/** `config check`: every problem and warning that a start would meet, without starting or writing anything. */
export function configCheck(input: ConfigInput, output: OutputFormat = 'table'): CommandResult {
  const outcome = load(input)
  const problems = 'problems' in outcome ? outcome.problems : missingSecrets(outcome.config)
  const { warnings } = outcome
  const exitCode = problems.length === 0 ? 0 : 1
  if (output === 'json') {
    const verdict = { ok: exitCode === 0, problems: problems.map(forPrograms), warnings }
    return { text: `${JSON.stringify(verdict, undefined, 2)}\n`, exitCode }
  }
  const lines = [
    ...warnings.map((warning) => `warning: ${warning}`),
    ...problems.map((problem) => `error: ${describeProblem(problem)}`),
    verdict(problems.length, warnings.length),
  ]
  return { text: `${lines.join('\n')}\n`, exitCode }
}

/** `config explain [KEY]`: the values in force, where each came from and what it means. Secrets show as `***`. */
export function configExplain(input: ConfigInput, output: OutputFormat = 'table', key?: string): CommandResult {
  const outcome = load(input)
  if ('problems' in outcome) return failure(outcome.problems, output)
  const name = key?.toUpperCase().replaceAll('-', '_')
  const sources = outcome.sources.filter((source) => name === undefined || source.key === name)
  if (sources.length === 0 && key !== undefined) {
    const nearest = nearestName(
      key,
      outcome.sources.map((source) => source.key),
    )
    const message = `This release has no key of this name.${nearest === undefined ? '' : ` Did you mean ${nearest}?`}`
    return failure([{ where: 'config explain', key, message }], output)
  }
  return { text: output === 'json' ? explainAsJson(sources) : explainAsTable(sources), exitCode: 0 }
}

/** `config schema`: the JSON Schema of the configuration file. */
export function configSchema(): CommandResult {
  return { text: `${JSON.stringify(schemaDocument(), undefined, 2)}\n`, exitCode: 0 }
}

function load(input: ConfigInput): LoadedConfig | Pick<ConfigError, 'problems' | 'warnings'> {
  try {
    return loadConfig(input)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

function failure(problems: readonly ConfigProblem[], output: OutputFormat): CommandResult {
  if (output === 'json') {
    return {
      text: `${JSON.stringify({ ok: false, problems: problems.map(forPrograms) }, undefined, 2)}\n`,
      exitCode: 1,
    }
  }
  return { text: `${problems.map((problem) => `error: ${describeProblem(problem)}`).join('\n')}\n`, exitCode: 1 }
}

function forPrograms({ where, key, message }: ConfigProblem) {
  return { where, key: key ?? null, message }
}

function verdict(problemCount: number, warningCount: number): string {
  const warnings = warningCount === 1 ? '1 warning' : `${warningCount} warnings`
  if (problemCount === 0) return `The configuration can be used (${warnings}).`
  return `The configuration cannot be used: ${problemCount === 1 ? '1 error' : `${problemCount} errors`}, ${warnings}.`
}
