import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { createUser } from '../../../src/accounts/accounts.ts'
import { setState } from '../../../src/repositories/changes.ts'
import { grantToAccount } from '../../../src/repositories/grants.ts'
import { listReadable, listVisibleIn } from '../../../src/repositories/listing.ts'
import { putRepository } from '../../../src/repositories/repositories.ts'
import { searchRepositories } from '../../../src/repositories/search.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { makeManyRepositories } from '../../support/fixtures.ts'
import { planOf } from '../../support/plans.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

interface Hit {
  readonly kind: string
  readonly name: string
  readonly namespace?: { readonly name: string }
}

/** What searches are fed that were written for other databases and other languages. */
const injections = [
  "' or '1'='1",
  "'; drop table repository; --",
  '%',
  '%25',
  '_______',
  'a%" or 1=1 --',
  'canary%',
  'c_nary',
  '*',
  'canary*',
  '\\',
  'canary\\_',
  '{{7*7}}',
  'password=~$2b',
  'name:canary',
  'visibility=private',
  '..%2f..%2fcanary',
  '<script>canary</script>',
  "canary') union select name, email from account --",
  '𝕔𝕒𝕟𝕒𝕣𝕪',
  'ＣＡＮＡＲＹ',
  'canary '.repeat(400),
]

describe('search', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database })
    const clients = new Map<string, RestClient>()
    const as = (name: string): RestClient => {
      const client = clients.get(name)
      if (client === undefined) throw new Error(`Nobody is called ${name}`)
      return client
    }
    let adaId: number
    before(async () => {
      adaId = await registry().addUser('ada')
      for (const name of ['adam', 'eve']) await registry().addUser(name)
      for (const name of ['owner', 'ada', 'eve']) clients.set(name, await registry().browser(name))
      clients.set('nobody', await registry().browser())
      const owner = as('owner')
      for (const name of ['lumen', 'lumen-labs']) await owner.ok('POST', '/api/v1/organization/', { name }, 201)
      await owner.ok('PUT', '/api/v1/organization/lumen/team/keepers', { role: 'member' })
      await owner.ok('PUT', '/api/v1/organization/lumen/robots/keeper', undefined, 201)
      await owner.ok('PUT', '/api/v1/user/robots/kiln', undefined, 201)
      await registry().addRepository('lumen/beacon', 'public')
      await registry().addRepository('lumen/beacon-api', 'public')
      await registry().addRepository('lumen/tools/api_gateway', 'public')
      await registry().addRepository('lumen-labs/api', 'public')
      await registry().addRepository('lumen/canary-store')
      await registry().addRepository('owner/canary-own')
      const { invite_url } = await owner.ok('PUT', '/api/v1/organization/lumen/team/keepers/members/adam')
      clients.set('adam', await registry().browser('adam'))
      await as('adam').ok('PUT', `/api/v1/teaminvite/${new URL(invite_url).searchParams.get('code')}`)
    })
    const find = async (name: string, query: string, more = ''): Promise<string[]> => {
      const path = `/api/v1/find/repositories?query=${encodeURIComponent(query)}${more}`
      const { results } = await as(name).ok('GET', path)
      return results.map((hit: Hit) => `${hit.namespace?.name}/${hit.name}`)
    }
    const entities = async (name: string, prefix: string, query = ''): Promise<Record<string, unknown>[]> =>
      (await as(name).ok('GET', `/api/v1/entities/${encodeURIComponent(prefix)}${query}`)).results

    test('every word of the query must begin a word of the name, and the likest come first', async () => {
      assert.deepEqual(await find('nobody', 'beacon'), ['lumen/beacon', 'lumen/beacon-api'])
      assert.deepEqual(await find('nobody', 'BEAC'), ['lumen/beacon', 'lumen/beacon-api'])
      assert.deepEqual(await find('nobody', 'api'), ['lumen-labs/api', 'lumen/beacon-api', 'lumen/tools/api_gateway'])
      assert.deepEqual(await find('nobody', 'gate api'), ['lumen/tools/api_gateway'])
      assert.deepEqual(await find('nobody', 'api gate'), ['lumen/tools/api_gateway'])
      assert.deepEqual(await find('nobody', 'béacon'), ['lumen/beacon', 'lumen/beacon-api'])
      for (const query of ['', ' ', '-/-', 'eacon', 'beacon zebra']) assert.deepEqual(await find('nobody', query), [])
    })

    test('what stands before a slash begins the namespace', async () => {
      assert.deepEqual(await find('nobody', 'lumen-labs/a'), ['lumen-labs/api'])
      assert.deepEqual(await find('nobody', 'lumen/beacon'), ['lumen/beacon', 'lumen/beacon-api'])
      assert.deepEqual(await find('nobody', 'lum/gateway'), ['lumen/tools/api_gateway'])
      assert.deepEqual((await find('nobody', 'lumen/')).length, 4)
      assert.deepEqual(await find('nobody', 'tools/api'), ['lumen/tools/api_gateway'])
      assert.deepEqual(await find('nobody', 'nowhere/api'), [])
    })

    test('a hit has the shape that clients know, with its usage when that is asked for', async () => {
      const plain = (await as('nobody').ok('GET', '/api/v1/find/repositories?query=beacon')).results[0]
      assert.deepEqual(Object.keys(plain).toSorted(), [
        ...['description', 'href', 'is_public', 'kind', 'name', 'namespace', 'score', 'title'],
      ])
      assert.deepEqual([plain.kind, plain.title, plain.href], ['repository', 'repo', '/repository/lumen/beacon'])
      assert.deepEqual([plain.namespace.kind, plain.namespace.href], ['organization', '/organization/lumen'])
      await as('eve').ok('POST', '/api/v1/user/starred', { namespace: 'lumen', repository: 'beacon' }, 201)
      const used = await as('nobody').ok('GET', '/api/v1/find/repositories?query=beacon&includeUsage=true')
      const { last_modified, stars, popularity } = used.results[0]
      assert.deepEqual([last_modified, stars, popularity], [null, 1, 0])
      const { page, page_size, start_index, has_additional } = used
      assert.deepEqual([page, page_size, start_index, has_additional], [1, 10, 0, false])
    })

    test('pages are ten long, from 1 to 10, and a page that is no number is refused', async () => {
      for (let at = 0; at < 23; at++)
        await registry().addRepository(`owner/paged-${String(at).padStart(2, '0')}`, 'public')
      const pages = await Promise.all([1, 2, 3, 4].map((page) => find('nobody', 'paged', `&page=${page}`)))
      assert.deepEqual(
        pages.map((page) => page.length),
        [10, 10, 3, 0],
      )
      assert.equal(new Set(pages.flat()).size, 23)
      const { has_additional, page } = await as('nobody').ok('GET', '/api/v1/find/repositories?query=paged&page=0')
      assert.deepEqual([has_additional, page], [true, 1])
      assert.equal((await as('nobody').ok('GET', '/api/v1/find/repositories?query=paged&page=99')).page, 10)
      const bad = await as('nobody').get('/api/v1/find/repositories?query=paged&page=x')
      assert.deepEqual([bad.status, typeof bad.json().message.page], [400, 'string'])
    })

    // Reliability cases 29 and 68.
    test('a private repository is found by who may read it, and by nobody else whatever they send', async () => {
      assert.deepEqual(await find('owner', 'canary'), ['lumen/canary-store', 'owner/canary-own'], 'control')
      assert.deepEqual(await find('ada', 'canary'), [])
      await registry().grant(adaId, 'lumen/canary-store', 'read')
      assert.deepEqual(await find('ada', 'canary'), ['lumen/canary-store'])
      await registry().grant(adaId, 'lumen/canary-store', 'none')
      for (const name of ['nobody', 'eve', 'ada'])
        for (const query of ['canary', 'lumen/canary', 'owner/', ...injections]) {
          const encoded = encodeURIComponent(query)
          const paths = [
            `find/repositories?query=${encoded}`,
            `find/all?query=${encoded}`,
            `entities/${encoded.slice(0, 90)}`,
          ]
          const answers = await Promise.all(paths.map((path) => as(name).get(`/api/v1/${path}`)))
          for (const answer of answers) {
            assert.ok([200, 400, 404].includes(answer.status), `${query}: ${answer.status}`)
            assert.doesNotMatch(answer.text(), /canary-(store|own)/, `${name} ${query}`)
          }
        }
      assert.deepEqual(await find('owner', 'canary'), ['lumen/canary-store', 'owner/canary-own'], 'nothing was harmed')
    })

    test('a token finds private repositories only with a scope that reads them', async () => {
      const titles = async (scope: string) => {
        const token = await registry().bearer('owner', scope)
        return (await token.ok('GET', '/api/v1/find/repositories?query=canary')).results.length
      }
      assert.deepEqual([await titles('user:admin org:admin'), await titles('repo:read')], [0, 2])
    })

    test('what is made private, or deleted, is found no more, and found again when it is back', async () => {
      await registry().addRepository('owner/wanderer', 'public')
      const path = '/api/v1/repository/owner/wanderer'
      assert.deepEqual(await find('eve', 'wanderer'), ['owner/wanderer'])
      await as('owner').ok('POST', `${path}/changevisibility`, { visibility: 'private' })
      assert.deepEqual([await find('eve', 'wanderer'), await find('owner', 'wanderer')], [[], ['owner/wanderer']])
      await as('owner').ok('POST', `${path}/changevisibility`, { visibility: 'public' })
      assert.deepEqual(await find('eve', 'wanderer'), ['owner/wanderer'])
      await as('owner').ok('DELETE', path, undefined, 204)
      assert.deepEqual(await find('owner', 'wanderer'), [])
      await registry().addRepository('owner/wanderer', 'public')
      assert.deepEqual(await find('eve', 'wanderer'), ['owner/wanderer'])
    })

    // Reliability cases 8 and 18.
    test('who may get rights is shown with the robot accounts and teams of a namespace to its members alone', async () => {
      const here = '?namespace=lumen&includeTeams=true&includeOrgs=true'
      const kinds = async (name: string, prefix: string, query = here) =>
        (await entities(name, prefix, query)).map(
          ({ kind, name, is_robot }) => `${kind} ${name}${is_robot ? ' robot' : ''}`,
        )
      assert.deepEqual(await kinds('owner', 'k'), ['team keepers'])
      assert.deepEqual(await kinds('owner', 'lumen+k'), ['user lumen+keeper robot'])
      assert.deepEqual(await kinds('owner', 'Lúm'), ['user lumen+keeper robot', 'org lumen'])
      assert.deepEqual(await kinds('adam', 'lum'), ['user lumen+keeper robot'])
      assert.deepEqual(await kinds('adam', 'k'), ['team keepers'])
      for (const name of ['eve', 'nobody'])
        for (const prefix of ['k', 'lum', 'lumen+k'])
          assert.deepEqual(await kinds(name, prefix), [], `${name} ${prefix}`)
      assert.deepEqual(await kinds('owner', 'owner+k', '?namespace=owner'), ['user owner+kiln robot'])
      assert.deepEqual(await kinds('eve', 'owner+k', '?namespace=owner'), [])
      assert.deepEqual(await kinds('owner', 'lumen+k', ''), [])
      const narrow = await registry().bearer('owner', 'repo:admin')
      assert.deepEqual((await narrow.ok('GET', `/api/v1/entities/k${here}`)).results, [])
    })

    test('users are found by the beginning of their name, and who is a member is said to members', async () => {
      const membership = async (name: string) =>
        (await entities(name, 'ada', '?namespace=lumen')).map((entity) => [entity['name'], entity['is_org_member']])
      assert.deepEqual(await membership('owner'), [
        ['ada', false],
        ['adam', true],
      ])
      assert.deepEqual(await membership('eve'), [
        ['ada', false],
        ['adam', false],
      ])
      assert.equal('is_org_member' in ((await entities('eve', 'ada'))[0] ?? {}), false)
      assert.deepEqual(
        (await entities('nobody', 'ada')).map(({ name }) => name),
        ['ada'],
        'only the whole name without signing in',
      )
    })

    test('one search over everything shows repositories, people, organizations, and teams and robot accounts of the caller', async () => {
      const search = async (name: string, query: string): Promise<string[]> =>
        (await as(name).ok('GET', `/api/v1/find/all?query=${encodeURIComponent(query)}`)).results.map(
          (hit: Hit) => `${hit.kind} ${hit.name}`,
        )
      assert.deepEqual((await search('owner', 'ke')).toSorted(), ['robot lumen+keeper', 'team keepers'])
      assert.deepEqual(await search('adam', 'ke'), ['team keepers'])
      assert.deepEqual(await search('eve', 'ke'), [])
      assert.deepEqual(await search('owner', 'ki'), ['robot owner+kiln'])
      assert.deepEqual(await search('eve', 'ki'), [])
      assert.deepEqual((await search('eve', 'lum')).toSorted(), ['organization lumen', 'organization lumen-labs'])
      assert.deepEqual(await search('nobody', 'lumen'), ['organization lumen'])
      assert.deepEqual((await search('eve', 'beacon'))[0], 'repository beacon')
      assert.deepEqual(await search('eve', ''), [])
      const scores = (await as('owner').ok('GET', '/api/v1/find/all?query=lumen')).results.map(
        (hit: { score: number }) => hit.score,
      )
      assert.deepEqual(
        scores,
        scores.toSorted((left: number, right: number) => right - left),
      )
      const team = (await as('owner').ok('GET', '/api/v1/find/all?query=keepers')).results[0]
      assert.deepEqual([team.href, team.organization.name], ['/organization/lumen/teams/keepers', 'lumen'])
    })

    test('no query walks what it does not show: repositories that stay hidden cost nothing', async (t) => {
      const db = await database.open(t)
      const doing = { actor: { kind: 'system', name: 'test' }, address: 'local', nowMs: 1 } as const
      const owner = { name: 'owner', passwordHash: null, enabled: true, nowMs: 1, address: 'local' }
      const { accountId, namespaceId } = await db.transaction(createUser, owner)
      const eve = await db.transaction(createUser, { ...owner, name: 'eve' })
      const made = { path: 'owner/svc-api', visibility: 'private', createNamespace: false, ...doing } as const
      const { id: repositoryId } = await db.transaction(putRepository, made)
      await db.transaction(grantToAccount, { repositoryId, name: 'eve', role: 'read', doing })
      await db.transaction(setState, { repositoryId, state: 'READ_ONLY', doing })
      await db.transaction(makeManyRepositories, { namespace: 'hidden', count: 1_000, visibility: 'private' })
      for (const viewerId of [0, accountId, eve.accountId]) {
        const viewer = { accountId: viewerId, withPublic: true, readsAll: false }
        const expected = viewerId === 0 ? [] : ['svc-api']
        for (const query of ['svc', 'svc api', 'owner/svc', 'owner/']) {
          const search = { viewer, query, offset: 0, limit: 10, nowMs: 1 }
          const plan = await planOf(db, (tx) => searchRepositories(tx, search))
          assert.match(plan, /repository_word/)
          assert.doesNotMatch(plan, /SCAN (w|r|n)\b|Seq Scan on (repository|namespace|repository_word)\b/, query)
          const { hits } = await db.read(searchRepositories, search)
          assert.deepEqual(
            hits.map(({ name }) => name),
            query === 'owner/' && viewerId === 0 ? [] : expected,
            query,
          )
        }
        const list = await planOf(db, (tx) => listReadable(tx, { viewer, afterId: 0, limit: 101 }))
        assert.match(list, /repository_public_id/)
        assert.doesNotMatch(list, /SCAN (r|n)\b|Seq Scan on (repository|namespace)\b/)
        const namespace = { id: namespaceId, name: 'owner', own: false }
        const within = await planOf(db, (tx) => listVisibleIn(tx, { viewer, namespace, after: '', limit: 101 }))
        assert.doesNotMatch(within, /SCAN (r|n)\b|Seq Scan on (repository|namespace)\b/)
      }
    })
  })
})
