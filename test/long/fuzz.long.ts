// The fuzzing of test/integration/api/fuzz.test.ts, at length, in five roles and on both databases.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachDatabase } from '../support/databases.ts'
import { assertWell, fuzz, fuzzTarget } from '../support/fuzz/fuzz.ts'
import { roles, superuserOf } from '../support/fuzz/tenancy.ts'
import { MailServer } from '../support/mail-server.ts'
import { startRegistry } from '../support/registry.ts'

const SCALE = Number(process.env['LONGSHORE_SCALE'] ?? 1)
const ROUNDS = { sqlite: 300, postgres: 100 }

forEachDatabase((database) => {
  const rounds = Math.ceil(ROUNDS[database.name] * SCALE)
  for (const role of roles)
    test(`whatever is asked as ${role}, every answer is one that the document declares, or a refusal`, async (t) => {
      // Once with mail and once without: addresses are confirmed, people invited and passwords recovered in other ways.
      const mail =
        database.name === 'postgres' ? { host: '127.0.0.1', port: (await MailServer.start(t)).port } : undefined
      const superUsers = ['root', ...Array.from({ length: rounds }, (_, round) => superuserOf(`sup${round}`))]
      const registry = await startRegistry(t, {
        database,
        config: {
          accounts: { superUsers, superUserConfigDump: true, userRename: true },
          ...(mail !== undefined && { mail }),
        },
      })
      const target = await fuzzTarget(registry, 'root')
      const { requests, succeeded } = await fuzz(target, { role, rounds })
      console.log(`${requests} requests as ${role}; ${succeeded.size} operations did what they were asked for`)
      assert.ok(requests > 0)
      if (role !== 'superuser') await target.vault.assertUntouched(registry)
      await assertWell(target)
    })
})
