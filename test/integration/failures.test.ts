import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuse } from '../../src/platform/errors.ts'
import { type Log, silentLog } from '../../src/platform/log.ts'
import { startEmptyRegistry } from '../support/empty-registry.ts'

interface Line {
  readonly level: 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
}

/** Keeps what somebody should look at. Jobs run meanwhile, and their failures are theirs. */
function recorder(): { log: Log; failures(): Line[] } {
  const lines: Line[] = []
  const keep = (level: Line['level']) => (fields: object) => lines.push({ level, fields: { ...fields } })
  const log: Log = Object.assign(Object.create(silentLog), { warn: keep('warn'), error: keep('error') })
  return { log, failures: () => lines.filter(({ fields }) => 'error' in fields && !('job.name' in fields)) }
}

describe('a request outside of the protocol that fails', () => {
  test('by a bug is told to the client by its id, and once to the log with error, causes and that id', async (t) => {
    const { log, failures } = recorder()
    const { client, services } = await startEmptyRegistry(t, { log })
    const bug = new Error('outer', { cause: new Error('inner') })
    t.mock.method(services.db, 'read', () => Promise.reject(bug))
    const answer = await client.send('GET', '/', { headers: { 'x-request-id': 'the-id' } })
    assert.equal(answer.status, 500)
    assert.match(answer.body.toString(), /the-id/)
    assert.doesNotMatch(answer.body.toString(), /outer|inner/)
    assert.deepEqual(failures(), [
      { level: 'error', fields: { error: bug, 'request.id': 'the-id', 'request.path': '/' } },
    ])
  })

  test('for a failure behind a refusal has that failure in the log, which the client is not told', async (t) => {
    const { log, failures } = recorder()
    const { client, services } = await startEmptyRegistry(t, { log })
    const behind = new Error('the connection was lost')
    t.mock.method(services.db, 'read', () => Promise.reject(refuse('UNAVAILABLE', {}, undefined, behind)))
    const headers = { 'x-request-id': 'the-id' }
    for (const path of ['/', '/api/v1/repository?public=true']) {
      const answer = await client.send('GET', path, { headers })
      assert.equal(answer.status, 503, path)
      assert.doesNotMatch(answer.body.toString(), /connection was lost/)
    }
    const [page, list, ...others] = failures()
    assert.deepEqual([page?.level, page?.fields['error'], page?.fields['request.id']], ['warn', behind, 'the-id'])
    assert.deepEqual([list?.level, list?.fields['error'], list?.fields['request.id']], ['warn', behind, 'the-id'])
    assert.deepEqual(others, [])
  })
})
