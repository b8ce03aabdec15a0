/** The test house tests itself: a run that cannot fail would show nothing. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { findTestFiles, root, runCheck, runFiles, stageOfFile, testEnvironment } from './support/stages.ts'
import { createRecorder, judgeFile, type RunnerEvent, summarize, type TestResult } from './support/summary.ts'

function makeFolder(t: TestContext, files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-harness-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

describe('the repository', () => {
  const self = 'test/harness.test.ts' // names what it looks for
  const paths = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '' && path !== self && existsSync(join(root, path)))
  /** Where a line of the files that `chosen` names looks wrong once `without` is taken out of it. */
  const findLines = (chosen: RegExp, wrong: RegExp, without = /(?!)/g) => {
    const files = paths.filter((path) => chosen.test(path))
    assert.ok(files.length > 0, `no file matches ${chosen}: nothing was checked`)
    return files.flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      if (text.includes('\0')) return []
      const lines = text.split('\n').map((line, i) => ({ line, where: `${path}:${i + 1}` }))
      return lines
        .filter(({ line }) => wrong.test(line.replaceAll(without, '')))
        .map(({ line, where }) => `${where}: ${line.trim()}`)
    })
  }

  test('holds no absolute path of the machine on which it was written', () => {
    assert.deepEqual(findLines(/./, /(?<![\w.-])\/(work|root)\//), [])
  })

  test('has a lock file without download addresses, so that it installs from any registry', () => {
    assert.deepEqual(findLines(/^package-lock\.json$/, /"resolved":/), [])
  })

  test('has no test that is left out, singled out or unfinished', () => {
    const leftOut = /\.(skip|only|todo)\(|[{,]\s*(skip|todo)\b|\b(skip|todo):/
    // What stands between quotes is about tests, and is none.
    assert.deepEqual(findLines(/\.(test|long)\.ts$/, leftOut, /(["'`])(?:\\.|(?!\1).)*\1/g), [])
  })

  test('names an issue in every TODO', () => {
    assert.deepEqual(findLines(/\.(ts|tsx|js)$/, /\b(TODO|FIXME|XXX)\b(?!\s*\(#\d+\))/), [])
  })

  test('never silences the type checker in src/', () => {
    assert.deepEqual(
      findLines(/^src\/.*\.ts$/, /^(?!\s*(\/\/|\*)).*\bas any(?=\W|$)|@ts-(ignore|nocheck|expect-error)/),
      [],
    )
  })

  test('has no test file that npm test would never run', () => {
    assert.deepEqual(
      paths.filter((path) => path.endsWith('.test.ts') && stageOfFile(path) === undefined),
      [],
    )
  })
})

describe('the reporter', () => {
  /** What it records for events, given as [type, data]. */
  const record = (...events: [string, RunnerEvent['data'] & { error?: unknown; suite?: boolean }][]) => {
    const recorder = createRecorder()
    const results = events.map(([type, { error, suite, ...data }]) => {
      const details = { duration_ms: 1.4, type: suite ? 'suite' : 'test', error }
      return recorder.take({ type, data: { nesting: 0, ...data, details } }).line
    })
    return { lines: results.filter((line) => line !== undefined), unfinished: recorder.unfinished() }
  }
  const failed = (failureType: string, cause: unknown) =>
    Object.assign(new Error('wrapped', { cause }), { failureType })

  test('counts tests under the names of their suites, and no suite', () => {
    const { lines } = record(
      ['test:start', { name: 'tags' }],
      ['test:start', { name: 'move', nesting: 1 }],
      ['test:pass', { name: 'move', nesting: 1 }],
      ['test:pass', { name: 'tags', suite: true }],
      ['test:start', { name: 'alone' }],
      ['test:pass', { name: 'alone' }],
      ['test:summary', {}],
    )
    assert.deepEqual(lines, [{ name: 'tags › move', durationMs: 1 }, { name: 'alone', durationMs: 1 }, { end: true }])
  })

  test('counts one failure once, not again for each suite around it', () => {
    const { lines } = record(
      ['test:start', { name: 'tags' }],
      ['test:fail', { name: 'move', nesting: 1, error: failed('testCodeFailure', new Error('1 is not 2')) }],
      ['test:fail', { name: 'tags', suite: true, error: failed('subtestsFailed', undefined) }],
    )
    assert.deepEqual(lines, [{ name: 'tags › move', durationMs: 1, failure: '1 is not 2' }])
  })

  test('counts a suite whose own hook has failed', () => {
    const { lines } = record([
      'test:fail',
      { name: 'tags', suite: true, error: failed('hookFailed', new Error('no port')) },
    ])
    assert.deepEqual(lines, [{ name: 'tags', durationMs: 1, failure: 'no port' }])
  })

  test('counts skipped and unfinished tests as failed, also a whole suite, and names the reason', () => {
    const { lines } = record(
      ['test:pass', { name: 'a', skip: 'no docker' }],
      ['test:pass', { name: 'b', skip: true, suite: true }],
      ['test:pass', { name: 'c', todo: true }],
    )
    const failures = lines.map((line) => ('failure' in line ? line.failure : undefined))
    assert.match(failures[0] ?? '', /skipped \(no docker\)/)
    assert.match(failures[1] ?? '', /skipped/)
    assert.match(failures[2] ?? '', /todo/)
  })

  test('knows whether tests are still to come, whatever a cancelled one does', () => {
    const cancelled: Parameters<typeof record>[0] = ['test:complete', { name: 'never announced' }]
    assert.equal(record(['test:enqueue', { name: 'a' }], cancelled).unfinished, 1)
    assert.equal(record(['test:enqueue', { name: 'a' }], ['test:complete', { name: 'a' }]).unfinished, 0)
  })
})

describe('the verdict', () => {
  const passed = { name: 'a', durationMs: 1 }
  const clean = { code: 0, signal: null, leftovers: [] }
  const failuresOf = (results: readonly TestResult[]) => results.flatMap(({ failure }) => failure ?? [])

  test('passes a file only when its process came to a clean end with every test reported', () => {
    assert.deepEqual(judgeFile([passed, { end: true }], clean), [passed])
    assert.match(failuresOf(judgeFile([], clean)).join(), /no test was reported/)
    assert.match(failuresOf(judgeFile([{ end: true }], clean)).join(), /no test was reported/)
    assert.match(failuresOf(judgeFile([passed], clean)).join(), /before all of its tests/)
    assert.match(failuresOf(judgeFile([passed, { end: true }], { ...clean, code: 7 })).join(), /exit code 7/)
    assert.match(failuresOf(judgeFile([passed, { end: true }], { ...clean, leftovers: ['sleep 9'] })).join(), /sleep 9/)
  })

  test('ends with the counts as its last line', () => {
    const results = [
      { ...passed, file: 'x' },
      { ...passed, file: 'x', failure: 'broken' },
    ]
    const { text, failed } = summarize([{ stage: 'unit', seconds: 1, results }])
    assert.equal(failed, 1)
    assert.match(text, /broken[\s\S]*\n1 passed, 1 failed\n$/)
  })

  test('is a failure when there was no test at all', () => {
    const { text, failed } = summarize([])
    assert.equal(failed, 1)
    assert.match(text, /\n0 passed, 1 failed\n$/)
  })
})

describe('a stage', () => {
  const quiet = { print: () => undefined, signal: new AbortController().signal }

  test('finds no files in an empty folder, which is a failure, and tells that from having no folder', (t) => {
    const folder = makeFolder(t)
    const stage = stageOfFile('test/crash/sweep.test.ts')
    assert.ok(stage)
    assert.equal(findTestFiles(stage, folder), undefined)
    mkdirSync(join(folder, 'test/crash'), { recursive: true })
    assert.deepEqual(findTestFiles(stage, folder), [])
    writeFileSync(join(folder, 'test/crash/sweep.test.ts'), '')
    assert.deepEqual(findTestFiles(stage, folder), ['test/crash/sweep.test.ts'])
  })

  test('keeps the settings of the developer away from tests, but for the seed', () => {
    const base = { LONGSHORE_DB_URI: 'x', LONGSHORE_SEED: '7', NODE_TEST_CONTEXT: 'child', HOME: '/h', PATH: '/bin' }
    const { PATH, ...rest } = testEnvironment(base, { LONGSHORE_TEST_POSTGRES: 'url' })
    assert.deepEqual(rest, { LONGSHORE_SEED: '7', HOME: '/h', NODE_ENV: 'test', LONGSHORE_TEST_POSTGRES: 'url' })
    assert.equal(PATH, `${root}/node_modules/.bin:/bin`)
  })

  test('runs files in processes of their own and fails what leaves a process behind or dies', async (t) => {
    const leak = "const c = spawn('sleep', ['60'], { stdio: 'ignore' }); c.unref()"
    const folder = makeFolder(t, {
      'good.test.ts': "import { test } from 'node:test'\ntest('good', () => {})\n",
      'dies.test.ts': "import { test } from 'node:test'\ntest('dies', () => process.exit(0))\n",
      'leaks.test.ts': `import { spawn } from 'node:child_process'\nimport { test } from 'node:test'\ntest('leaks', () => { ${leak} })\n`,
    })
    const files = ['dies', 'good', 'leaks'].map((name) => join(folder, `${name}.test.ts`))
    const options = { ...quiet, environment: testEnvironment(process.env, {}), scratch: folder }
    const { results } = await runFiles({ name: 'unit', concurrency: 2, timeoutMs: 60_000 }, files, options)
    const told = (name: string) =>
      results.filter(({ file }) => file.endsWith(`${name}.test.ts`)).map((r) => r.failure ?? r.name)
    assert.deepEqual(told('good'), ['good'])
    assert.match(told('dies').join(), /no test was reported \(exit code 0\)/)
    assert.match(told('leaks').join(), /left running: sleep 60/)
  })

  test('counts a check as one test that passes with exit code 0', async (t) => {
    const options = { ...quiet, environment: testEnvironment(process.env, {}), scratch: makeFolder(t) }
    const check = (code: string) => runCheck({ kind: 'check', name: 'check', command: ['node', '-e', code] }, options)
    assert.deepEqual(
      (await check('0')).results.map(({ failure }) => failure),
      [undefined],
    )
    assert.match((await check('process.exit(3)')).results[0]?.failure ?? '', /exit code 3/)
  })
})

describe('setup', () => {
  /** A project whose npm is a script: it counts its runs, refuses to run twice at once, and "installs" `node`. */
  const makeProject = (t: TestContext, npm: string) => {
    const folder = makeFolder(t, { 'package.json': '{ "type": "module" }', 'package-lock.json': '{}' })
    for (const name of ['scripts', 'path', 'tmp']) mkdirSync(join(folder, name))
    copyFileSync(join(root, 'scripts/setup.js'), join(folder, 'scripts/setup.js'))
    const start = `#!/bin/sh\nmkdir busy || exit 9\necho "$1" >> runs\nrm -rf node_modules\nmkdir -p node_modules/.bin\n`
    writeFileSync(join(folder, 'path/npm'), `${start}${npm}\nrmdir busy\n`)
    chmodSync(join(folder, 'path/npm'), 0o755)
    const environment = { TMPDIR: join(folder, 'tmp'), PATH: `${join(folder, 'path')}:/usr/bin:/bin` }
    const run = () => {
      const child = spawn(process.execPath, [join(folder, 'scripts/setup.js')], { env: environment })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          output += chunk
        })
      }
      return new Promise<{ code: number | null; output: string }>((resolve) => {
        child.once('close', (code) => resolve({ code, output }))
      })
    }
    const countRuns = () => readFileSync(join(folder, 'runs'), 'utf8').split('\n').length - 1
    return { folder, run, countRuns }
  }
  const installsNode = `ln -s '${process.execPath}' node_modules/.bin/node`

  test('installs what the lock file says, then is silent until it changes', async (t) => {
    const { folder, run, countRuns } = makeProject(t, installsNode)
    assert.equal((await run()).code, 0)
    assert.deepEqual(await run(), { code: 0, output: '' })
    assert.equal(countRuns(), 1)
    writeFileSync(join(folder, 'package-lock.json'), '{ "changed": true }')
    assert.equal((await run()).code, 0)
    assert.equal(countRuns(), 2)
  })

  test('installs once when several commands start together', async (t) => {
    const { run, countRuns } = makeProject(t, installsNode)
    const ends = await Promise.all([run(), run(), run()])
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0, 0],
    )
    assert.equal(countRuns(), 1)
  })

  test('takes over the lock of a command that was killed', async (t) => {
    const { folder, run, countRuns } = makeProject(t, installsNode)
    const gone = execFile(process.execPath, ['-e', '0'])
    await new Promise((resolve) => gone.once('close', resolve))
    const name = createHash('sha256').update(folder).digest('hex').slice(0, 16)
    writeFileSync(join(folder, 'tmp', `longshore-setup-${name}.lock`), `${gone.pid} gone`)
    assert.equal((await run()).code, 0)
    assert.equal(countRuns(), 1)
  })

  test('says that the registry cannot be reached, and tries again the next time', async (t) => {
    const { run, countRuns } = makeProject(t, 'rmdir busy; echo "npm error code ENOTFOUND" >&2; exit 1')
    const { code, output } = await run()
    assert.equal(code, 1)
    assert.match(output, /could not reach its package registry/)
    await run()
    assert.equal(countRuns(), 2)
  })

  test('explains where no pinned Node exists for the machine, without installing again each time', async (t) => {
    const { run, countRuns } = makeProject(t, '')
    for (const { code, output } of [await run(), await run()]) {
      assert.equal(code, 1)
      assert.match(output, /npm has no pinned Node for \w+ \w+\. Your Node \S+ is new enough/)
    }
    assert.equal(countRuns(), 1)
  })
})
