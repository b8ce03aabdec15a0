import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anImage } from '../support/images.ts'
import { findFreePort } from '../support/postgres.ts'
import { startRegistry } from '../support/registry.ts'
import { withoutGrace } from './gc-support.ts'

test('what only grows is served as a counter and named _total, nothing else is', async (t) => {
  const port = await findFreePort()
  const config = { ...withoutGrace, server: { metricsListen: { host: '127.0.0.1', port } } }
  const registry = await startRegistry(t, { config })
  const repository = registry.as('owner').repository('owner/app')
  const image = await repository.push(anImage(), 'latest')
  assert.equal((await repository.send('DELETE', `manifests/${image.digest}`)).status, 202)
  for (let round = 0; round < 3; round++) await registry.collect()
  const scrape = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const text = await scrape()
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (!/^(longshore|quay)_/.test(name)) continue
    assert.equal(type === 'counter', name.endsWith('_total'), `${name} is a ${type}`)
  }
  assert.match(text, /^longshore_gc_manifests_deleted_total 1$/m)
  assert.match(text, /^longshore_gc_failed_deletions_total 0$/m)
  assert.match(await scrape(), /^longshore_gc_manifests_deleted_total 1$/m, 'a look has changed the count')
})
