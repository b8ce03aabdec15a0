import { type Check, checks, type Severity } from './finding.ts'
import type { FsckReport } from './walk.ts'

/** Worst first. */
const SEVERITIES: readonly Severity[] = ['loss', 'damage', 'garbage', 'note']

export interface FsckOutcome {
  readonly text: string
  /** 0: nothing found but notes. 1: something is lost, damaged or garbage. */
  readonly exitCode: 0 | 1
}

/** The report as a person reads it: findings first, the worst on top, then one line per check. */
export function fsckCommand(report: FsckReport): FsckOutcome {
  const lines: string[] = []
  for (const severity of SEVERITIES) {
    for (const finding of report.findings) {
      if (finding.severity !== severity) continue
      lines.push(`${severity}: ${finding.subject} (${finding.check})`, `  ${finding.explanation}`)
    }
  }
  if (report.truncated) lines.push('More was found than is listed here: the table below counts all of it.')
  if (lines.length > 0) lines.push('')
  lines.push(...tableOf(report), '', `Looked at ${lookedAt(report)} in ${(report.durationMs / 1000).toFixed(1)} s.`)
  const isClean = report.findings.every((finding) => finding.severity === 'note')
  lines.push(isClean ? 'Everything holds.' : 'Something does not hold: see above.')
  return { text: `${lines.join('\n')}\n`, exitCode: isClean ? 0 : 1 }
}

function tableOf(report: FsckReport): string[] {
  const rows: [string, string, string][] = [['CHECK', 'FOUND', 'WHAT MUST HOLD']]
  for (const check of Object.keys(checks) as Check[]) rows.push([check, String(report.counts[check]), checks[check]])
  const checkWidth = Math.max(...rows.map(([check]) => check.length))
  const foundWidth = Math.max(...rows.map(([, found]) => found.length))
  return rows.map(([check, found, rule]) => `${check.padEnd(checkWidth)}  ${found.padStart(foundWidth)}  ${rule}`)
}

function lookedAt(report: FsckReport): string {
  return Object.entries(report.looked)
    .map(([pass, looked]) => `${looked} ${pass}`)
    .join(', ')
}
