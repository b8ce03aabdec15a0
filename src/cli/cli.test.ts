import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { runCommand } from './cli.ts'
import type { CliDeps, Serving } from './command.ts'
import { commands } from './commands.ts'

type StopListener = (signal: 'SIGINT' | 'SIGTERM') => void

/** A command line in a folder of its own, without a process around it. */
function terminal(t: TestContext, serve: () => Promise<Serving> = () => Promise.reject(new Error('not now'))) {
  const cwd = mkdtempSync(join(tmpdir(), 'longshore-cli-'))
  t.after(() => rmSync(cwd, { recursive: true }))
  const out = { stdout: '', stderr: '' }
  const exits: number[] = []
  const listeners: StopListener[] = []
  const deps: CliDeps = {
    serve,
    openDatabase: () => Promise.reject(new Error('The database was opened')),
    openToRead: () => Promise.reject(new Error('The database was opened')),
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    stdin: new PassThrough(),
    env: {},
    cwd,
    nowMs: () => 0,
    onStop(listener) {
      listeners.push(listener)
      return () => listeners.splice(listeners.indexOf(listener), 1)
    },
    exit: (code) => exits.push(code),
  }
  return { deps, out, exits, listeners, cwd, run: (...argv: string[]) => runCommand(argv, deps) }
}

function serving(closed: { value: boolean }): Serving {
  const close = async () => {
    closed.value = true
  }
  return {
    url: 'http://r.example:8080',
    hostname: 'r.example:8080',
    setupLink: 'http://r.example:8080/setup?token=t',
    close,
  }
}

describe('serve', () => {
  test('says where it is, the setup link and the login line on stderr, and leaves stdout to the log', async (t) => {
    const { out, listeners, run } = terminal(t, async () => serving({ value: false }))
    const ended = run('serve')
    while (out.stderr === '') await turn()
    listeners[0]?.('SIGTERM')
    assert.equal(await ended, 0)
    assert.match(out.stderr, /serves at http:\/\/r\.example:8080 and keeps its data in .*data\n/)
    assert.match(out.stderr, /http:\/\/r\.example:8080\/setup\?token=t\n/)
    assert.match(out.stderr, /docker login r\.example:8080\n/)
    assert.equal(out.stdout, '')
  })

  test('the first signal lets it close, the second one ends the process at once', async (t) => {
    const closed = { value: false }
    const { out, exits, listeners, run } = terminal(t, async () => serving(closed))
    const ended = run('serve')
    while (out.stderr === '') await turn()
    const [listener] = listeners
    listener?.('SIGINT')
    assert.deepEqual(exits, [])
    listener?.('SIGINT')
    assert.deepEqual(exits, [130])
    await ended
    assert.equal(closed.value, true)
    assert.deepEqual(listeners, [])
  })

  test('a signal that comes while it starts stops it as soon as it has started', async (t) => {
    const closed = { value: false }
    let started = () => {}
    const starting = new Promise<void>((resolve) => {
      started = resolve
    })
    const { listeners, run } = terminal(t, async () => {
      await starting
      return serving(closed)
    })
    const ended = run('serve')
    listeners[0]?.('SIGTERM')
    started()
    assert.equal(await ended, 0)
    assert.equal(closed.value, true)
  })

  test('an address that is taken is told with what to do, as a failure', async (t) => {
    const taken = Object.assign(new Error('listen EADDRINUSE'), {
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: '::1',
      port: 8080,
    })
    const { out, run } = terminal(t, () => Promise.reject(taken))
    assert.equal(await run('serve'), 1)
    assert.match(out.stderr, /^longshore: The address \[::1\]:8080 is in use .* --listen\.\n$/)
  })

  test('a configuration that cannot be used stops it with every problem and its place', async (t) => {
    const { out, cwd, run } = terminal(t)
    writeFileSync(join(cwd, 'config.yaml'), 'GC_GRACE: 2\nGC_GRACEE: 2h\n')
    assert.equal(await run('serve'), 1)
    assert.match(out.stderr, /2 problems:\n {2}config\.yaml:1:11: GC_GRACE.*\n {2}config\.yaml:2:1: .*GC_GRACE\?/)
  })
})

describe('user create', () => {
  test('what is wrong with name or address is told before a password is asked for', async (t) => {
    const { out, run } = terminal(t)
    assert.equal(await run('user', 'create', 'Alice', '--generate'), 1)
    assert.match(out.stderr, /use alice/)
    assert.equal(await run('user', 'create', 'alice', '--email', 'nobody', '--generate'), 1)
    assert.match(out.stderr, /name@example\.com/)
  })

  test('without a terminal it needs to be told where the password comes from', async (t) => {
    const { out, run } = terminal(t)
    assert.equal(await run('user', 'create', 'alice'), 2)
    assert.match(out.stderr, /--password-stdin or --generate/)
    assert.equal(await run('user', 'create', 'alice', '--generate', '--password-stdin'), 2)
  })

  test('on a terminal the password is asked for twice, never shown, and must be the same', async (t) => {
    const { deps, out, run } = terminal(t)
    const raw: boolean[] = []
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) })
    const ended = runCommand(['user', 'create', 'alice'], { ...deps, stdin: input })
    for (const typed of ['correct-horsf\u007fe\r', 'correct-house\r']) {
      const asked = out.stderr.length
      input.write(typed)
      while (out.stderr.length === asked) await turn()
    }
    assert.equal(await ended, 1)
    assert.match(out.stderr, /^Password: \nPassword again: \nlongshore: The two passwords are not the same/)
    assert.deepEqual(raw, [true, false, true, false])
    assert.equal(await run('help', 'user', 'create'), 0)
  })
})

describe('help, version and completion', () => {
  test('help lists every command, and tells each one in full with its exit codes', async (t) => {
    const { out, run } = terminal(t)
    assert.equal(await run(), 0)
    for (const command of commands)
      assert.ok(out.stdout.includes(`\n  ${command.words.join(' ')}`), command.words.join(' '))
    for (const command of commands) {
      out.stdout = ''
      assert.equal(await run(...command.words, '--help'), 0)
      assert.match(out.stdout, new RegExp(`Usage: longshore ${command.words.join(' ')}`))
      assert.match(out.stdout, /Exit codes: 0 done, 1 failed/)
    }
  })

  test('the version is that of the package, for programs too', async (t) => {
    const { out, run } = terminal(t)
    await run('--version')
    await run('version', '-o', 'json')
    const [plain = '', json = ''] = out.stdout.split('\n')
    assert.match(plain, /^\d+\.\d+\.\d+/)
    assert.equal(JSON.parse(json).version, plain)
  })

  test('a mistake is 2, goes to stderr and names the nearest command', async (t) => {
    const { out, run } = terminal(t)
    assert.equal(await run('sreve'), 2)
    assert.equal(out.stdout, '')
    assert.match(out.stderr, /^longshore: .*Did you mean "serve"\?/)
    assert.equal(await run('completion', 'ksh'), 2)
  })

  test('the completion of bash is valid and knows commands, subcommands, options and values', async (t) => {
    const { out, run } = terminal(t)
    assert.equal(await run('completion', 'bash'), 0)
    const complete = (...words: string[]) => {
      const line = words.map((word) => `'${word}'`).join(' ')
      const script = `${out.stdout}\nCOMP_WORDS=(longshore ${line}); COMP_CWORD=${words.length}; _longshore; echo "\${COMPREPLY[*]}"`
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim()
    }
    assert.equal(complete('se'), 'serve')
    assert.equal(complete('config', 'e'), 'explain')
    assert.equal(complete('user', 'create', 'alice', '--gen'), '--generate')
    assert.equal(complete('version', '--output', 'j'), 'json')
    assert.equal(complete('completion', 'z'), 'zsh')
  })

  test('the completions of zsh and fish name every command', async (t) => {
    for (const shell of ['zsh', 'fish']) {
      const { out, run } = terminal(t)
      assert.equal(await run('completion', shell), 0)
      for (const { words } of commands)
        for (const word of words) assert.ok(out.stdout.includes(word), `${shell}: ${word}`)
    }
  })
})
