/**
 * `npm test`: runs the stages in their order and ends with the line `N passed, N failed`.
 *
 *   npm test                               everything
 *   npm test -- unit integration           some stages
 *   npm test -- --files src/oci/*.test.ts  some files, under the rules of the stages they belong to
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type PostgresServer, startPostgres } from './support/postgres.ts'
import {
  filesNeedPostgres,
  findTestFiles,
  type RunOptions,
  root,
  runCheck,
  runFiles,
  stageOfFile,
  stages,
  type TestStage,
  testEnvironment,
} from './support/stages.ts'
import { type StageOutcome, summarize } from './support/summary.ts'

interface PlannedStage {
  readonly stage: (typeof stages)[number]
  readonly files: readonly string[]
}

/** Decides what to run. What cannot be run as asked is a failed outcome, so that nothing is left out in silence. */
function plan(args: readonly string[]): { planned: PlannedStage[]; refused: StageOutcome[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { files: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  if (values.files) return planFiles(positionals)
  const unknown = positionals.filter((name) => !stages.some((stage) => stage.name === name))
  const known = stages.map((stage) => stage.name).join(', ')
  const refused = unknown.map((name) => failedOutcome(name, `there is no stage of this name; there are: ${known}`))
  const planned: PlannedStage[] = []
  for (const stage of stages) {
    if (positionals.length > 0 && !positionals.includes(stage.name)) continue
    if (stage.kind === 'check') planned.push({ stage, files: [] })
    else planStage(stage, planned, refused)
  }
  return { planned, refused }
}

function planStage(stage: TestStage, planned: PlannedStage[], refused: StageOutcome[]): void {
  const files = findTestFiles(stage)
  if (files === undefined) console.log(`${stage.name}: there is no folder for it, nothing to run`)
  else if (files.length > 0) planned.push({ stage, files })
  else
    refused.push(
      failedOutcome(stage.name, `no file matches ${stage.patterns.join(' or ')}: remove the folder or add a test`),
    )
}

function planFiles(paths: readonly string[]): { planned: PlannedStage[]; refused: StageOutcome[] } {
  const planned = new Map<string, { stage: TestStage; files: string[] }>()
  const refused: StageOutcome[] = []
  for (const path of paths) {
    const file = relative(root, resolve(path))
    const stage = stageOfFile(file)
    if (!existsSync(join(root, file))) refused.push(failedOutcome('files', `${file} does not exist`))
    else if (stage === undefined)
      refused.push(failedOutcome('files', `${file} belongs to no stage, so npm test never runs it`))
    else planned.set(stage.name, { stage, files: [...(planned.get(stage.name)?.files ?? []), file] })
  }
  return { planned: [...planned.values()], refused }
}

function failedOutcome(stage: string, failure: string): StageOutcome {
  return { stage, seconds: 0, results: [{ name: '(the stage)', file: '', durationMs: 0, failure }] }
}

/** One server for the whole run, unless the caller names one by LONGSHORE_TEST_POSTGRES. */
async function providePostgres(planned: readonly PlannedStage[]): Promise<PostgresServer | undefined> {
  const wanted = planned.some(({ stage, files }) => stage.kind === 'tests' && filesNeedPostgres(stage, files))
  if (!wanted) return undefined
  const given = process.env['LONGSHORE_TEST_POSTGRES']
  if (given) return { url: given, stop: async () => undefined }
  console.log('Starting PostgreSQL ...')
  return startPostgres({ durable: false })
}

async function runStages(planned: readonly PlannedStage[], options: RunOptions): Promise<StageOutcome[]> {
  const outcomes: StageOutcome[] = []
  for (const { stage, files } of planned) {
    if (options.signal.aborted) {
      outcomes.push(failedOutcome(stage.name, 'not run: the run was interrupted'))
      continue
    }
    options.print(`\n== ${stage.name} ==\n`)
    outcomes.push(stage.kind === 'check' ? await runCheck(stage, options) : await runFiles(stage, files, options))
  }
  return outcomes
}

async function main(): Promise<void> {
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupted.abort())
  const { planned, refused } = plan(process.argv.slice(2))
  const outcomes = [...refused]
  const scratch = await mkdtemp(join(tmpdir(), 'longshore-test-'))
  let postgres: PostgresServer | undefined
  try {
    postgres = await providePostgres(planned)
    const extra: Record<string, string> = postgres ? { LONGSHORE_TEST_POSTGRES: postgres.url } : {}
    const environment = testEnvironment(process.env, extra)
    const print = (text: string | Uint8Array) => process.stdout.write(text)
    outcomes.push(...(await runStages(planned, { environment, scratch, signal: interrupted.signal, print })))
  } catch (error) {
    console.error(error)
    outcomes.push(failedOutcome('run', `the run itself failed: ${error instanceof Error ? error.message : error}`))
  } finally {
    await postgres?.stop()
    await rm(scratch, { recursive: true, force: true })
  }
  if (interrupted.signal.aborted) outcomes.push(failedOutcome('run', 'interrupted by a signal'))
  const { text, failed } = summarize(outcomes)
  process.stdout.write(text)
  process.exitCode = failed > 0 ? 1 : 0
}

await main()
