/**
 * What one test process tells the run, and how the run tells it to a person.
 *
 * The default export is the reporter that `test/support/stages.ts` gives to every test process. It prints a line for
 * each test and appends the same as JSON to a file, one synchronous write per test, so that a process which dies in
 * the middle leaves behind what it had finished.
 */
import { appendFileSync } from 'node:fs'
import { inspect } from 'node:util'

/** The part of the events of node:test that we read. */
export interface RunnerEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly nesting?: number
    readonly line?: number
    readonly column?: number
    readonly skip?: string | boolean
    readonly todo?: string | boolean
    readonly message?: string
    readonly details?: { readonly duration_ms?: number; readonly type?: string; readonly error?: unknown }
  }
}

export interface TestResult {
  /** The names of its suites and its own, from the outside in. */
  readonly name: string
  readonly durationMs: number
  /** Why it counts as failed; absent when it passed. */
  readonly failure?: string
}

/** `end` says that the process came to its regular end and left no test out. */
export type RecordedLine = TestResult | { readonly end: true }

interface Noted {
  readonly line?: RecordedLine
  readonly text?: string
}

/** Turns the events of one process into results. Suites are not counted, unless what failed is the suite itself. */
export function createRecorder(): { take(event: RunnerEvent): Noted; unfinished(): number } {
  const names: string[] = []
  const open = new Map<string, number>()
  const count = ({ data }: RunnerEvent, by: number) => {
    const key = [data.nesting, data.name, data.line, data.column].join('|')
    // A test that its suite cancels completes without ever having been announced: it must not open the way for others.
    open.set(key, Math.max(0, (open.get(key) ?? 0) + by))
  }
  return {
    unfinished: () => [...open.values()].reduce((sum, n) => sum + n, 0),
    take(event) {
      const { type, data } = event
      if (type === 'test:enqueue') count(event, 1)
      if (type === 'test:complete') count(event, -1)
      if (type === 'test:start') names.splice(data.nesting ?? 0, Infinity, data.name ?? '')
      if (type === 'test:summary') return { line: { end: true } }
      // What happens after the end of a test comes as a diagnostic only; the exit code makes the run fail.
      if (type === 'test:diagnostic' && /^(Error|Warning): /.test(data.message ?? ''))
        return { text: `${data.message}\n` }
      if (type !== 'test:pass' && type !== 'test:fail') return {}
      const failure = failureOf(event)
      if (data.details?.type === 'suite' && failure === undefined) return {}
      if (failureType(data.details?.error) === 'subtestsFailed') return {}
      const name = [...names.slice(0, data.nesting ?? 0), data.name ?? ''].join(' › ')
      const durationMs = Math.round(data.details?.duration_ms ?? 0)
      const text = `${failure === undefined ? '✔' : '✖'} ${name} (${durationMs} ms)\n${indent(explain(event, failure))}`
      return { text, line: failure === undefined ? { name, durationMs } : { name, durationMs, failure } }
    },
  }
}

function failureOf({ type, data }: RunnerEvent): string | undefined {
  if (type === 'test:fail') return messageOf(causeOf(data.details?.error))
  const reason = (flag: string | boolean) => (typeof flag === 'string' && flag !== '' ? ` (${flag})` : '')
  if (isSet(data.skip)) return `skipped${reason(data.skip)}: a test that cannot run here counts as failed`
  if (isSet(data.todo)) return `marked as todo${reason(data.todo)}: an unfinished test counts as failed`
  return undefined
}

function isSet(flag: string | boolean | undefined): flag is string | true {
  return flag !== undefined && flag !== false
}

function explain({ type, data }: RunnerEvent, failure: string | undefined): string {
  if (failure === undefined) return ''
  if (type !== 'test:fail') return failure
  // The frames of the runner and of Node tell nothing about the test.
  return inspect(causeOf(data.details?.error)).replaceAll(/\n +at (?:[^\n]*\()?node:[^\n]*/g, '')
}

const indent = (text: string) => text && `${text.replaceAll(/^(?=.)/gm, '    ')}\n`

function failureType(error: unknown): unknown {
  return error instanceof Error && 'failureType' in error ? error.failureType : undefined
}

/** The runner wraps what a test has thrown; time-outs and cancelled tests have nothing inside. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : inspect(error)
  return text.split('\n').slice(0, 6).join('\n')
}

/** How a test process ended. `leftovers` are the command lines of processes that it has started and not stopped. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: string | null
  readonly leftovers: readonly string[]
}

/** The results of one test file, with a failure added for everything that no single test could report. */
export function judgeFile(lines: readonly RecordedLine[], end: ProcessEnd): TestResult[] {
  const results = lines.filter((line) => 'name' in line)
  const how = end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`
  const fail = (failure: string) => results.push({ name: '(the file)', durationMs: 0, failure })
  const clean = end.code === 0 && !results.some((result) => result.failure !== undefined)
  if (results.length === 0) fail(`no test was reported (${how}): the file has none, or ended before the first one did`)
  else if (!lines.some((line) => 'end' in line)) fail(`the process ended (${how}) before all of its tests had`)
  else if (end.code !== 0 && results.every((result) => result.failure === undefined))
    fail(`the process ended with ${how} though its tests passed: something failed after the end of a test`)
  if (clean && end.leftovers.length > 0) fail(`processes were left running: ${end.leftovers.join('; ')}`)
  return results
}

export interface StageOutcome {
  readonly stage: string
  readonly seconds: number
  readonly results: readonly (TestResult & { readonly file: string })[]
}

/** The end of a run as a person reads it. Its last line is `N passed, N failed`; a run without any test has failed. */
export function summarize(stages: readonly StageOutcome[]): { readonly text: string; readonly failed: number } {
  const all = stages.flatMap(({ stage, results }) => results.map((result) => ({ ...result, stage })))
  const failures = all.filter((result) => result.failure !== undefined)
  const slowest = all.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, 20)
  const lines = ['', `The ${slowest.length} slowest:`]
  for (const { stage, name, file, durationMs } of slowest)
    lines.push(`${seconds(durationMs / 1000)}  ${stage}: ${name}  ${file}`.trimEnd())
  lines.push('', 'Seconds per stage:')
  for (const stage of stages) lines.push(`${seconds(stage.seconds)}  ${stage.stage} (${stage.results.length})`)
  if (failures.length > 0) lines.push('', 'Failed:')
  for (const { stage, name, file, failure } of failures)
    lines.push(`${`✖ ${stage}: ${name}  ${file}`.trimEnd()}\n${indent(failure ?? '')}`)
  if (all.length === 0) lines.push('', 'No test was found. That is a failure: nothing was shown to work.')
  const failed = all.length === 0 ? 1 : failures.length
  lines.push('', `${all.length - failures.length} passed, ${failed} failed`)
  return { text: `${lines.join('\n')}\n`, failed }
}

const seconds = (value: number) => `${value.toFixed(1).padStart(8)} s`

const leakGraceMs = 10_000

/** The reporter of a test process: Node hands it the events and prints what it yields. */
// biome-ignore lint/style/noDefaultExport: the default export is where Node looks for a reporter
export default async function* report(source: AsyncIterable<RunnerEvent>): AsyncGenerator<string> {
  const path = process.env['LONGSHORE_TEST_EVENTS']
  // Servers that a test starts read LONGSHORE_* as their configuration.
  delete process.env['LONGSHORE_TEST_EVENTS']
  const write = (line: RecordedLine) => path && appendFileSync(path, `${JSON.stringify(line)}\n`)
  const recorder = createRecorder()
  let leakTimer: NodeJS.Timeout | undefined
  for await (const event of source) {
    const { line, text } = recorder.take(event)
    if (line) write(line)
    if (text) yield text
    clearTimeout(leakTimer)
    if (recorder.unfinished() > 0) continue
    // An unreferenced timer fires only while something else keeps the process alive, and that is what we look for.
    leakTimer = setTimeout(() => {
      const failure = `${leakGraceMs / 1000} s after the last test still open: ${process.getActiveResourcesInfo().join(', ')}`
      write({ name: '(the file)', durationMs: 0, failure })
      write({ end: true })
      process.stdout.write(`✖ ${failure}\n`, () => process.exit(1))
    }, leakGraceMs).unref()
  }
}
