import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuseOldServer } from './postgres-connections.ts'

/** A server that says it is of this version. */
function serverOf(number: string, version: string) {
  return { query: async () => ({ rows: [{ number, version }] }) }
}

describe('the version of PostgreSQL', () => {
  test('15 and everything newer is accepted', async () => {
    await refuseOldServer(serverOf('150000', '15.0'))
    await refuseOldServer(serverOf('180002', '18.2'))
  })

  test('14 is refused with a sentence that says which one it is and what to do', async () => {
    await assert.rejects(
      refuseOldServer(serverOf('140021', '14.21 (Debian)')),
      /PostgreSQL 14\.21 \(Debian\).*15 or newer/s,
    )
  })
})
