/**
 * `npm run test:long`: the big numbers, one part per file `test/long/<part>.long.ts`.
 *
 *   npm run test:long                               every part that has not passed on this commit
 *   npm run test:long -- crash                      one part, also when it has passed before
 *   npm run test:long -- crash --seed 7 --scale 10
 *
 * A part reads LONGSHORE_SEED (an integer) and LONGSHORE_SCALE (1 is the size that the long run promises; a part
 * multiplies its counts by it). What has passed stands in test-results/long.json, so that an interrupted run goes on.
 */
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPostgres } from './support/postgres.ts'
import { root, runFiles, testEnvironment } from './support/stages.ts'
import { type StageOutcome, summarize } from './support/summary.ts'

const resultsPath = join(root, 'test-results', 'long.json')
const sixHoursMs = 6 * 3_600_000

interface PartResult {
  readonly part: string
  readonly commit: string
  readonly seed: number
  readonly scale: number
  readonly passed: number
  readonly failed: number
  readonly seconds: number
  readonly finishedAt: string
}

/** The commit that is measured; a tree with changes of its own is never taken for one that has passed. */
function currentCommit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim()
  return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '-changed')
}

function readResults(): PartResult[] {
  if (!existsSync(resultsPath)) return []
  const results: unknown = JSON.parse(readFileSync(resultsPath, 'utf8'))
  if (!Array.isArray(results)) throw new Error(`${resultsPath} is not a list: remove it and run again.`)
  return results
}

async function addResult(result: PartResult): Promise<void> {
  await mkdir(dirname(resultsPath), { recursive: true })
  const others = readResults().filter(({ part, commit, scale }) => {
    return part !== result.part || commit !== result.commit || scale !== result.scale
  })
  // Written beside and renamed: a run of hours must not lose its notes because it was killed while writing them.
  await writeFile(`${resultsPath}.new`, `${JSON.stringify([...others, result], undefined, 2)}\n`)
  await rename(`${resultsPath}.new`, resultsPath)
}

function readOptions() {
  const { values, positionals } = parseArgs({
    options: { seed: { type: 'string' }, scale: { type: 'string', default: '1' } },
    allowPositionals: true,
  })
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const scale = Number(values.scale)
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed takes an integer, not "${values.seed}"`)
  if (!(scale > 0)) throw new Error(`--scale takes a number above 0, not "${values.scale}"`)
  return { seed, scale, names: positionals }
}

const partName = (file: string) => basename(file, '.long.ts')

function findParts(): string[] {
  const files = globSync('test/long/*.long.ts', { cwd: root }).toSorted()
  if (files.length === 0) throw new Error('There are no parts: no file matches test/long/*.long.ts.')
  return files
}

function chooseParts(files: readonly string[], names: readonly string[], commit: string, scale: number): string[] {
  const all = files.map(partName).join(', ')
  const unknown = names.filter((name) => !files.some((file) => partName(file) === name))
  if (unknown.length > 0) throw new Error(`There is no part ${unknown.join(', ')}; there are: ${all}`)
  if (names.length > 0) return files.filter((file) => names.includes(partName(file)))
  const done = readResults().filter(
    (result) => result.commit === commit && result.scale === scale && result.failed === 0,
  )
  return files.filter((file) => {
    const before = commit.endsWith('-changed') ? undefined : done.find(({ part }) => part === partName(file))
    if (before) console.log(`${before.part}: passed on this commit at ${before.finishedAt} with seed ${before.seed}`)
    return before === undefined
  })
}

async function main(): Promise<void> {
  const { seed, scale, names } = readOptions()
  const all = findParts()
  const commit = currentCommit()
  const files = chooseParts(all, names, commit, scale)
  if (files.length === 0) return console.log('Every part has passed on this commit. Name one to run it again.')
  console.log(`commit ${commit}, seed ${seed}, scale ${scale}, parts: ${files.map(partName).join(', ')}`)
  const interrupted = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupted.abort())
  const scratch = await mkdtemp(join(tmpdir(), 'longshore-long-'))
  const postgres = await startPostgres({ durable: false })
  const outcomes: StageOutcome[] = []
  try {
    const environment = testEnvironment(process.env, {
      LONGSHORE_TEST_POSTGRES: postgres.url,
      LONGSHORE_SEED: String(seed),
      LONGSHORE_SCALE: String(scale),
    })
    const options = {
      environment,
      scratch,
      signal: interrupted.signal,
      print: (text: string | Uint8Array) => process.stdout.write(text),
    }
    for (const file of files) {
      if (interrupted.signal.aborted) break
      const part = partName(file)
      const outcome = await runFiles({ name: part, concurrency: 1, timeoutMs: sixHoursMs }, [file], options)
      outcomes.push(outcome)
      const failed = outcome.results.filter(({ failure }) => failure !== undefined).length
      const [passed, seconds] = [outcome.results.length - failed, Math.round(outcome.seconds)]
      if (!interrupted.signal.aborted) {
        await addResult({ part, commit, seed, scale, passed, failed, seconds, finishedAt: new Date().toISOString() })
      }
    }
  } finally {
    await postgres.stop()
    await rm(scratch, { recursive: true, force: true })
  }
  const { text, failed } = summarize(outcomes)
  process.stdout.write(`\ncommit ${commit}, seed ${seed}, scale ${scale}\n${text}`)
  process.exitCode = failed > 0 || interrupted.signal.aborted ? 1 : 0
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
