import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

test('a server does not load the HTTP client of Node, which takes 16 MiB, until somebody calls another host', () => {
  const main = new URL('../../src/main.ts', import.meta.url).href
  const look = `await import('${main}'); console.log(JSON.stringify(process.moduleLoadList))`
  const loaded = execFileSync(process.execPath, ['--input-type=module', '--eval', look], { encoding: 'utf8' })
  assert.match(loaded, /_http_server/)
  assert.doesNotMatch(loaded, /undici/)
})
