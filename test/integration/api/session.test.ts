import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { startRegistry } from '../../support/registry.ts'

describe('signing in to the API', () => {
  forEachDatabase((database) => {
    test('a browser signs in, gives its password again, and signs out of every session', async (t) => {
      const registry = await startRegistry(t, { database })
      const one = await registry.browser('owner')
      const other = await registry.browser('owner')
      const before = one.cookie
      await one.ok('POST', '/api/v1/signin/verify', { password: 'correct-horse-battery' })
      assert.notEqual(one.cookie, before)
      assert.equal((await one.post('/api/v1/signin/verify', { password: 'wrong-horse' })).status, 403)
      await one.ok('POST', '/api/v1/signout')
      assert.equal((await other.post('/api/v1/signin/verify', { password: 'x' })).status, 401)
      assert.match((await other.get('/api/v1/error/not_found')).json().type, /\/api\/v1\/error\/not_found$/)
    })
  })
})
