import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { before, describe, test } from 'node:test'
import { setEnabled } from '../../../src/accounts/accounts.ts'
import { runCommand } from '../../../src/cli/cli.ts'
import type { CliDeps } from '../../../src/cli/command.ts'
import { openSqliteToRead } from '../../../src/db/sqlite.ts'
import { modules } from '../../../src/transactions.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

interface Path {
  readonly via: string
  readonly role: string | null
  readonly explanation: string
}

const transactions = new URL('../../../src/transactions.ts', import.meta.url)

const config = {
  accounts: {
    superUsers: ['root'],
    superUsersFullAccess: true,
    readOnlySuperUsers: ['auditor'],
    restrictedUsers: true,
    unrestrictedUsers: ['owner'],
  },
}

describe('the explanation of rights', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config })
    let owner: RestClient
    const ids = new Map<string, number>()
    before(async () => {
      for (const name of ['ada', 'eve', 'root', 'auditor', 'gone']) ids.set(name, await registry().addUser(name))
      owner = await registry().browser('owner')
      const root = await registry().browser('root')
      await root.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await root.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'creator' })
      await root.ok('PUT', '/api/v1/organization/acme/robots/ci', undefined, 201)
      const invited = await root.ok('PUT', '/api/v1/organization/acme/team/devs/members/ada')
      const ada = await registry().browser('ada')
      await ada.ok('PUT', `/api/v1/teaminvite/${new URL(invited.invite_url).searchParams.get('code')}`)
      await registry().addRepository('acme/api')
      await registry().addRepository('owner/open', 'public')
      await root.ok('PUT', '/api/v1/repository/acme/api/permissions/team/devs', { role: 'write' })
      await root.ok('PUT', '/api/v1/repository/acme/api/permissions/user/ada', { role: 'read' })
      await root.ok('PUT', '/api/v1/repository/acme/api/permissions/user/acme+ci', { role: 'read' })
    })
    const explain = async (path: string, subject: string, by = 'root') => {
      const client = await registry().browser(by)
      const explained = await client.ok('GET', `/api/v1/repository/${path}/access/${encodeURIComponent(subject)}`)
      const vias: string[] = explained.paths.map(({ via, role }: Path) => (role === null ? via : `${via} ${role}`))
      return { ...explained, vias, text: explained.paths.map(({ explanation }: Path) => explanation).join(' ') }
    }

    test('names every path that grants, and the strongest of them counts', async () => {
      const ada = await explain('acme/api', 'ada')
      assert.deepEqual([ada.role, ada.vias], ['write', ['grant read', 'team write']])
      assert.deepEqual(ada.rights, { pull: true, push: true, admin: false, create: false })
      assert.match(ada.text, /team devs/)
      assert.deepEqual((await explain('acme/api', 'acme+ci')).vias, ['grant read'])
      assert.deepEqual((await explain('owner/open', 'owner')).vias, ['public read', 'owner admin'])
      assert.deepEqual((await explain('owner/open', 'root')).vias, ['public read', 'superuser admin'])
      assert.deepEqual((await explain('acme/api', 'root')).vias, ['superuser admin', 'team admin'])
      assert.deepEqual((await explain('acme/api', 'auditor')).vias, ['read-only superuser read'])
      assert.deepEqual((await explain('owner/open', '@anonymous')).vias, ['public read'])
    })

    test('says what denies: nothing granted, nothing there, a state, an account that is disabled', async () => {
      const eve = await explain('acme/api', 'eve')
      assert.deepEqual([eve.role, eve.vias], [null, ['refusal']])
      assert.match(eve.text, /private/)
      assert.match((await explain('acme/api', '@anonymous')).text, /private/)
      const missing = await explain('acme/nothing', 'ada')
      assert.deepEqual([missing.vias, missing.rights.create], [['team', 'refusal'], true])
      assert.match((await explain('nowhere/nothing', 'ada')).text, /no namespace nowhere/)
      assert.match((await explain('eve/nothing', 'eve')).text, /FEATURE_RESTRICTED_USERS/)
      assert.equal((await explain('eve/nothing', 'eve')).rights.create, false)
      const repositoryId = await registry().addRepository('acme/frozen')
      await registry().setState(repositoryId, 'READ_ONLY')
      const frozen = await explain('acme/frozen', 'root')
      assert.deepEqual([frozen.role, frozen.rights.push, frozen.vias.at(-1)], ['admin', false, 'refusal'])
      await registry().server.services.db.transaction(setEnabled, {
        accountId: ids.get('gone') ?? 0,
        enabled: false,
        ...registry().doing,
      })
      assert.match((await explain('owner/open', 'gone')).text, /disabled/)
    })

    test('agrees with what clients of the registry may do', async () => {
      for (const subject of ['ada', 'eve', 'root', 'auditor', 'owner'])
        for (const path of ['acme/api', 'owner/open', 'acme/nothing']) {
          const { rights } = await explain(path, subject)
          const client = registry().as(subject).repository(path)
          const pulls = (await client.send('GET', 'tags/list')).status === 200
          assert.equal(pulls, rights.pull, `${subject} pulls ${path}`)
          const token = await registry().as(subject).token(`repository:${path}:pull,push`)
          const actions: string[] =
            JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).access[0]?.actions ?? []
          assert.equal(actions.includes('push'), rights.push || rights.create, `${subject} pushes ${path}`)
        }
    })

    test('is for administrators of the repository and superusers, and as silent to others about what exists', async () => {
      const path = (repository: string) => `/api/v1/repository/${repository}/access/ada`
      const ada = await registry().browser('ada')
      const nobody = await registry().browser()
      assert.equal((await ada.get(path('acme/api'))).status, 403)
      assert.equal((await ada.get(path('acme/api'))).text(), (await ada.get(path('acme/never-made'))).text())
      assert.equal((await nobody.get(path('owner/open'))).status, 401)
      assert.equal((await owner.get(path('owner/open'))).status, 200)
      assert.equal((await owner.get(path('owner/never-made'))).status, 200)
      assert.equal((await (await registry().browser('auditor')).get(path('acme/api'))).status, 200)
      assert.equal((await (await registry().bearer('owner', 'repo:write')).get(path('owner/open'))).status, 403)
      assert.equal((await (await registry().bearer('owner', 'repo:admin')).get(path('owner/open'))).status, 200)
      const unknown = await owner.get('/api/v1/repository/owner/open/access/never-made')
      assert.deepEqual([unknown.status, unknown.json().title], [404, 'not_found'])
    })
  })

  test('the command line asks the registry that runs, and reads the database itself when none does', async (t) => {
    const registry = await startRegistry(t, { database: { name: 'sqlite' }, config })
    const eveId = await registry.addUser('eve')
    await registry.addRepository('owner/api')
    await registry.grant(eveId, 'owner/api', 'read')
    const run = async (args: readonly string[], openToRead: CliDeps['openToRead']) => {
      const cwd = mkdtempSync(join(tmpdir(), 'longshore-explain-'))
      t.after(() => rmSync(cwd, { recursive: true }))
      const out = { stdout: '', stderr: '' }
      const code = await runCommand(['access', 'explain', ...args, '--data', registry.dir], {
        serve: () => Promise.reject(new Error('not now')),
        openDatabase: () => Promise.reject(new Error('The database was opened to write')),
        openToRead,
        stdout: { write: (text) => (out.stdout += text) },
        stderr: { write: (text) => (out.stderr += text) },
        stdin: new PassThrough(),
        env: {},
        cwd,
        nowMs: () => 0,
        onStop: () => () => {},
        exit: () => {},
      })
      return { code, ...out }
    }
    const never: CliDeps['openToRead'] = () => Promise.reject(new Error('The database was opened'))
    const table = await run(['eve', 'owner/api'], never)
    assert.equal(table.code, 0, table.stderr)
    assert.match(table.stdout, /^eve on owner\/api: role read; may pull\n {2}\+ .*itself read.*\(read\)\n$/)
    const json = await run(['eve', 'owner/api', '--output', 'json'], never)
    assert.deepEqual([JSON.parse(json.stdout).role, JSON.parse(json.stdout).paths.length], ['read', 1])
    const unknown = await run(['nobody', 'owner/api'], never)
    assert.deepEqual([unknown.code, unknown.stdout], [1, ''])
    assert.match(unknown.stderr, /no user or robot account nobody/)
    assert.equal((await run(['eve', 'no-slash'], never)).code, 2)
    await registry.server.close()
    const here = await run(['eve', 'owner/api', '--output', 'json'], async ({ database }) => {
      assert.equal(database.kind, 'sqlite')
      const path = join(registry.dir, 'longshore.db')
      return { db: await openSqliteToRead({ path, modules, modulesUrl: transactions.href }), stores: new Map() }
    })
    assert.equal(here.code, 0, here.stderr)
    assert.equal(here.stdout, json.stdout)
    await registry.restart()
  })
})
