import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

test('a process whose database thread has died ends, instead of refusing every request and looking alive', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-thread-'))
  const script = new URL('../support/dying-child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, join(dir, 'test.db')], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(async () => {
    child.kill('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk) => {
    output += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    errors += String(chunk)
  })
  const signal = await new Promise((resolve) => child.once('close', (_code, by) => resolve(by)))
  assert.equal(signal, 'SIGKILL')
  assert.match(output, /^serving\n/)
  assert.match(errors, /A database thread has died/)
})
