import '../../support/hashes.ts'
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { setEnabled } from '../../../src/accounts/accounts.ts'
import type { Answer } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { countHashes } from '../../support/hashes.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'
import { tenantConfig } from '../../support/tenants.ts'

const WRONG = 'wrong-horse-battery'
/** Nobody waits here: what is compared is what an attempt costs. */
const config = { accounts: { ...tenantConfig.accounts, loginFailuresBeforeBackoff: 1_000 } }

/** What is the same about somebody who is there and somebody who is not: all but the name. */
const shownOf = ({ status, text }: Answer, name: string) => `${status} ${text().replaceAll(name, 'NAME')}`

/** How many queries and transactions it takes: the fewest of three, since a server also looks around by itself. */
async function queriesOf(registry: TestRegistry, ask: () => Promise<unknown>): Promise<number> {
  const counts: number[] = []
  for (let time = 0; time < 3; time++) counts.push(await countQueries(registry, ask))
  return Math.min(...counts)
}

async function countQueries(registry: TestRegistry, ask: () => Promise<unknown>): Promise<number> {
  const { db } = registry.server.services
  const { read, transaction } = db
  let count = 0
  const counted = <T extends (...args: never[]) => unknown>(original: T) =>
    ((...args: Parameters<T>) => {
      count++
      return original.apply(db, args)
    }) as T
  Object.assign(db, { read: counted(read), transaction: counted(transaction) })
  try {
    await ask()
  } finally {
    Object.assign(db, { read, transaction })
  }
  return count
}

describe('whether somebody exists', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config })
    let eve: RestClient
    before(async () => {
      for (const name of ['here', 'shut', 'eve']) await registry().addUser(name)
      await (await registry().browser('here')).ok('PUT', '/api/v1/user/', { email: 'here@lumen.test' })
      const accountId = registry().accountId('shut') ?? 0
      await registry().server.services.db.transaction(setEnabled, { accountId, enabled: false, ...registry().doing })
      eve = await registry().browser('eve')
      await eve.ok('POST', '/api/v1/organization/', { name: 'eves' }, 201)
      await eve.ok('PUT', '/api/v1/organization/eves/team/devs', { role: 'member' })
    })

    // Reliability case 18.
    test('a wrong password gets the same answer for the same work, whoever it is for, wherever it is given', async () => {
      const ways: readonly (readonly [string, (name: string) => Promise<Answer>])[] = [
        ['the page', async (name) => (await registry().browser()).trySignIn(name, WRONG)],
        ['/v2/', (name) => registry().as(name, WRONG).send('GET', '/v2/')],
        ['/v2/auth', (name) => registry().as(name, WRONG).send('GET', '/v2/auth?scope=repository:here/x:pull')],
        [
          'somebody to convert to',
          (name) => eve.post('/api/v1/user/convert', { adminUser: name, adminPassword: WRONG }),
        ],
      ]
      for (const [way, ask] of ways) {
        const known = shownOf(await ask('here'), 'here')
        const queries = await queriesOf(registry(), () => ask('here'))
        for (const name of ['absent', 'shut']) {
          assert.equal(shownOf(await ask(name), name), known, `${way}: ${name}`)
          assert.equal(await queriesOf(registry(), () => ask(name)), queries, `${way}: ${name}`)
        }
        for (const name of ['here', 'absent', 'shut'])
          assert.equal(await countHashes(() => ask(name)), 1, `${way}: ${name}`)
      }
      // Control: the probe sees when nothing is compared.
      assert.equal(await countHashes(() => registry().anonymous.send('GET', '/v2/')), 0)
    })

    // Reliability case 18.
    test('an address is invited alike, whether somebody has it or not', async () => {
      const base = '/api/v1/organization/eves/team/devs'
      const invite = (email: string) => eve.put(`${base}/invite/${email}`)
      const shape = async (email: string) => {
        const { status, json } = await invite(email)
        const { invite_url: url, ...rest } = json()
        assert.equal(typeof url, 'string')
        return JSON.stringify([status, rest])
          .replaceAll(email, 'ADDRESS')
          .replaceAll(/"hash":"\w+"/g, '"hash":""')
          .replaceAll(/"color":"#\w+"/g, '')
      }
      assert.equal(await shape('here@lumen.test'), await shape('none@lumen.test'))
      const pending = (await eve.ok('GET', `${base}/members?includePending=true`)).members
      assert.deepEqual(
        pending
          .filter(({ kind }: { kind: string }) => kind === 'invite')
          .map(({ name }: { name?: string }) => name ?? null),
        [null, null],
      )
    })

    // Reliability case 18.
    test('no search finds anybody by an address, and without signing in not by the beginning of a name', async () => {
      const nobody = await registry().browser()
      for (const [client, text] of [
        [eve, 'here@'],
        [eve, 'here@lumen.test'],
        [nobody, 'here@lumen.test'],
        [nobody, 'her'],
      ] as const)
        for (const path of [
          `/api/v1/entities/${encodeURIComponent(text)}`,
          `/api/v1/find/all?query=${encodeURIComponent(text)}`,
        ])
          assert.deepEqual((await client.ok('GET', path)).results, [], path)
      // Control: by what everybody may know.
      assert.equal((await nobody.ok('GET', '/api/v1/entities/here')).results.length, 1)
    })

    // Reliability case 18.
    test('a token for a private repository is as empty as one for a repository that does not exist', async () => {
      await registry().addRepository('here/hidden')
      const claims = async (path: string) => {
        const token = await registry().as('eve').token(`repository:${path}:pull,push`)
        const { access } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
        return JSON.stringify(access).replaceAll(path, 'PATH')
      }
      assert.equal(await claims('here/hidden'), await claims('here/absent'))
      assert.equal(await claims('here/hidden'), await claims('nowhere/absent'))
    })
  })
})
