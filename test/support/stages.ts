/** The stages of a test run: what belongs to each, and how one is run. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join, matchesGlob, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { judgeFile, type ProcessEnd, type RecordedLine, type StageOutcome, type TestResult } from './summary.ts'

export const root = resolve(fileURLToPath(import.meta.url), '../../..')

interface CheckStage {
  readonly kind: 'check'
  readonly name: string
  /** A program of node_modules/.bin with its arguments. */
  readonly command: readonly [string, ...string[]]
}

export interface TestStage {
  readonly kind: 'tests'
  readonly name: string
  readonly patterns: readonly string[]
  /** How many files run at the same time. */
  readonly concurrency: number
  /** For a single test. */
  readonly timeoutMs: number
  readonly needsPostgres: boolean
}

type Stage = CheckStage | TestStage

const inFolder = (name: string) => ({
  kind: 'tests' as const,
  name,
  patterns: [`test/${name}/**/*.test.ts`],
  concurrency: 2,
  timeoutMs: 120_000,
  needsPostgres: true,
})

/** In the order in which they run: the cheapest answer first. */
export const stages: readonly Stage[] = [
  { kind: 'check', name: 'typecheck', command: ['tsc', '--noEmit'] },
  { kind: 'check', name: 'lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { kind: 'check', name: 'unused', command: ['knip'] },
  {
    ...inFolder('unit'),
    patterns: ['src/**/*.test.ts', 'test/*.test.ts', 'test/support/**/*.test.ts'],
    needsPostgres: false,
  },
  inFolder('integration'),
  inFolder('isolation'),
  inFolder('property'),
  // Clients keep their state in places of the machine, and a crash sweep measures what others would disturb.
  { ...inFolder('clients'), concurrency: 1, timeoutMs: 300_000 },
  { ...inFolder('e2e'), concurrency: 1, needsPostgres: false },
  { ...inFolder('crash'), concurrency: 1, timeoutMs: 300_000 },
]

/** The test files of a stage below `base`, sorted. Undefined when there is no folder for them at all. */
export function findTestFiles(stage: TestStage, base = root): string[] | undefined {
  const folders = stage.patterns.map((pattern) => pattern.slice(0, pattern.search(/\/[^/]*\*/)))
  if (!folders.some((folder) => existsSync(join(base, folder)))) return undefined
  return stage.patterns.flatMap((pattern) => globSync(pattern, { cwd: base })).toSorted()
}

/** The stage whose rules a test file follows, undefined for a file that no stage would run. */
export function stageOfFile(path: string): TestStage | undefined {
  const file = relative(root, resolve(root, path))
  const owns = (stage: Stage): stage is TestStage =>
    stage.kind === 'tests' && stage.patterns.some((pattern) => matchesGlob(file, pattern))
  return stages.find(owns)
}

/** Integration tests always, others when a file asks for the server by itself. */
export function filesNeedPostgres(stage: TestStage, files: readonly string[]): boolean {
  return files.length > 0 && (stage.needsPostgres || files.some(asksForPostgres))
}

function asksForPostgres(file: string): boolean {
  const path = resolve(root, file)
  return /import[^'"]*\btestPostgresUrl\b/.test(readFileSync(path, 'utf8'))
}

/**
 * The environment of a test: the caller's without any LONGSHORE_* (a developer's own server must not change results),
 * but for LONGSHORE_SEED, which repeats a run of property tests. The pinned Node comes first in PATH.
 */
export function testEnvironment(base: NodeJS.ProcessEnv, extra: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(base).filter(
    ([key]) => (!key.startsWith('LONGSHORE_') || key === 'LONGSHORE_SEED') && key !== 'NODE_TEST_CONTEXT',
  )
  const PATH = `${join(root, 'node_modules', '.bin')}:${base['PATH'] ?? ''}`
  return { ...Object.fromEntries(kept), PATH, NODE_ENV: 'test', ...extra }
}

export interface RunOptions {
  readonly environment: NodeJS.ProcessEnv
  /** An empty folder for the notes of the test processes. */
  readonly scratch: string
  /** Kills what is running and starts nothing more. */
  readonly signal: AbortSignal
  readonly print: (text: string | Uint8Array) => void
}

/** Runs a check as one test: it passes when its program ends with 0. */
export async function runCheck(stage: CheckStage, options: RunOptions): Promise<StageOutcome> {
  const startedMs = performance.now()
  const [program, ...args] = stage.command
  const { code, signal } = await runProcess(join(root, 'node_modules', '.bin', program), args, options, 600_000)
  const durationMs = Math.round(performance.now() - startedMs)
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`
  const result = { name: stage.command.join(' '), file: '', durationMs }
  options.print(`${code === 0 ? '✔' : '✖'} ${result.name} (${durationMs} ms)\n`)
  const failure = `ended with ${how}; what it found is printed above`
  return { stage: stage.name, seconds: durationMs / 1000, results: [code === 0 ? result : { ...result, failure }] }
}

/** Runs test files, each in a process of its own. @see judgeFile for what makes a file fail beside its tests. */
export async function runFiles(
  stage: Pick<TestStage, 'name' | 'concurrency' | 'timeoutMs'>,
  files: readonly string[],
  options: RunOptions,
): Promise<StageOutcome> {
  const startedMs = performance.now()
  const results: (TestResult & { file: string })[] = []
  const waiting = [...files]
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined && !options.signal.aborted; file = waiting.shift()) {
      for (const result of await runFile(file, stage, options)) results.push({ ...result, file })
    }
  }
  await Promise.all(Array.from({ length: stage.concurrency }, work))
  return { stage: stage.name, seconds: (performance.now() - startedMs) / 1000, results }
}

async function runFile(file: string, stage: Pick<TestStage, 'concurrency' | 'timeoutMs'>, options: RunOptions) {
  const events = join(options.scratch, `${file.replaceAll(/[^\w.-]/g, '_')}.jsonl`)
  const args = [
    `--test-timeout=${stage.timeoutMs}`,
    `--test-reporter=${new URL('./summary.ts', import.meta.url)}`,
    '--test-reporter-destination=stdout',
    file,
  ]
  const environment = { ...options.environment, LONGSHORE_TEST_EVENTS: events }
  // Beside each other the lines of two files would mix, so they come when the file is done.
  const held: (string | Uint8Array)[] = [`\n${file}\n`]
  const live = stage.concurrency === 1
  if (live) options.print(held.splice(0).join(''))
  const print = live ? options.print : (text: string | Uint8Array) => held.push(text)
  // A test that never gives way to the event loop cannot be timed out from inside.
  const end = await runProcess(process.execPath, args, { ...options, environment, print }, stage.timeoutMs + 60_000)
  const lines = existsSync(events) ? readFileSync(events, 'utf8').split('\n').filter(Boolean) : []
  const results = judgeFile(
    lines.map((line): RecordedLine => JSON.parse(line)),
    end,
  )
  for (const { name, failure } of results) if (name === '(the file)') print(`✖ ${name}: ${failure}\n`)
  for (const text of held) options.print(text)
  return results
}

/** Runs a program in a process group of its own and kills the group when it ends, falls silent or the run is aborted. */
async function runProcess(
  program: string,
  args: readonly string[],
  { environment, signal, print }: Pick<RunOptions, 'environment' | 'signal' | 'print'>,
  silenceMs: number,
): Promise<ProcessEnd> {
  if (signal.aborted) return { code: null, signal: 'SIGINT', leftovers: [] }
  const child = spawn(program, args, { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const kill = () => killGroup(child)
  const tooSilent = setTimeout(() => {
    print(`✖ no output for ${silenceMs / 1000} s: killed\n`)
    kill()
  }, silenceMs)
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Uint8Array) => {
      tooSilent.refresh()
      print(chunk)
    })
  }
  signal.addEventListener('abort', kill)
  try {
    const closed = new Promise<void>((done) => child.once('close', () => done()))
    const end = await new Promise<Omit<ProcessEnd, 'leftovers'>>((done, fail) => {
      child.once('error', fail)
      child.once('exit', (code, endedBy) => done({ code, signal: endedBy }))
    })
    const leftovers = await findLeftovers(child.pid)
    kill()
    // A daemon that left the group may still hold the pipe; nobody waits for it.
    await Promise.race([closed, sleep(2_000, undefined, { ref: false })])
    return { ...end, leftovers }
  } finally {
    clearTimeout(tooSilent)
    signal.removeEventListener('abort', kill)
  }
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group is gone: that is what was wanted.
  }
}

/** What still runs in the process group. A child that was told to stop gets a second to do so. */
async function findLeftovers(group: number | undefined): Promise<string[]> {
  let found: string[] = []
  for (let i = 0; i < 10; i++) {
    found = listGroup(group)
    if (found.length === 0) break
    await sleep(100)
  }
  return found
}

function listGroup(group: number | undefined): string[] {
  if (!existsSync('/proc/self/stat')) return []
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      // pid (name) state parent group: the name may hold spaces and parentheses. A zombie has ended.
      const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
      if (Number(pgrp) !== group || state === 'Z') return []
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 200)]
    } catch {
      return []
    }
  })
}
