import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setEnabled } from '../../../src/accounts/accounts.ts'
import { deleteRepository } from '../../../src/repositories/changes.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { startRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

describe('lists of repositories', () => {
  forEachDatabase((database) => {
    test('a list shows what the caller may see, page by page, and names of others never', async (t) => {
      const registry = await startRegistry(t, { database })
      const eveId = await registry.addUser('eve')
      const owner = await registry.browser('owner')
      for (let at = 0; at < 103; at++) await registry.addRepository(`owner/r${String(at).padStart(3, '0')}`)
      await registry.addRepository('owner/zz-open', 'public')
      await registry.grant(eveId, 'owner/r005', 'read')
      const first = await owner.ok('GET', '/api/v1/repository?namespace=owner')
      assert.equal(first.repositories.length, 100)
      const next = encodeURIComponent(first.next_page)
      const second = await owner.ok('GET', `/api/v1/repository?namespace=owner&next_page=${next}`)
      const names = [...first.repositories, ...second.repositories].map((one: { name: string }) => one.name)
      assert.deepEqual(
        [names.length, new Set(names).size, names.at(-1), second.next_page],
        [104, 104, 'zz-open', undefined],
      )
      const eve = await registry.browser('eve')
      const seen = async (query: string) =>
        (await eve.ok('GET', `/api/v1/repository?${query}`)).repositories.map((one: { name: string }) => one.name)
      assert.deepEqual(await seen('namespace=owner'), ['r005'])
      assert.deepEqual(await seen('namespace=owner&public=true'), ['r005', 'zz-open'])
      assert.deepEqual(await seen('public=true'), ['r005', 'zz-open'])
      assert.deepEqual(await seen('namespace=nowhere'), [])
      assert.equal((await eve.get('/api/v1/repository')).status, 400)
      const nobody = await registry.browser()
      assert.deepEqual((await nobody.ok('GET', '/api/v1/repository?namespace=owner')).repositories, [])
      assert.equal((await nobody.ok('GET', '/api/v1/repository?public=true')).repositories.length, 1)
      assert.equal((await nobody.get('/api/v1/repository?starred=true')).status, 400)
    })

    test('the list over all namespaces goes on where it ended, and a token of another list begins anew', async (t) => {
      const registry = await startRegistry(t, { database })
      const eveId = await registry.addUser('eve')
      const owner = await registry.browser('owner')
      const eve = await registry.browser('eve')
      for (let at = 0; at < 102; at++) await registry.addRepository(`owner/open-${at}`, 'public')
      await registry.addRepository('owner/canary')
      await registry.addRepository('owner/granted')
      await registry.grant(eveId, 'owner/granted', 'read')
      await registry.addRepository('eve/own')
      const walk = async (client: typeof eve) => {
        const names: string[] = []
        let next = ''
        do {
          const page = await client.ok('GET', `/api/v1/repository?public=true&next_page=${encodeURIComponent(next)}`)
          names.push(...page.repositories.map((one: { name: string }) => one.name))
          next = page.next_page ?? ''
        } while (next !== '')
        return names
      }
      const open = Array.from({ length: 102 }, (_, at) => `open-${at}`)
      assert.deepEqual(await walk(eve), [...open, 'granted', 'own'])
      assert.deepEqual(await walk(owner), [...open, 'canary', 'granted'])
      assert.deepEqual(await walk(await registry.browser()), open)
      const { next_page } = await owner.ok('GET', '/api/v1/repository?public=true')
      const strange = await eve.ok('GET', `/api/v1/repository?public=true&next_page=${encodeURIComponent(next_page)}`)
      assert.equal(strange.repositories[0].name, 'open-0')
      const hostile = ["owner' or 1=1 --", 'owner/x', '%', 'own_r', 'owner%00', '*']
      for (const namespace of hostile) {
        const answer = await eve.get(`/api/v1/repository?namespace=${encodeURIComponent(namespace)}&public=true`)
        assert.equal(answer.status === 400 || answer.json().repositories.length === 0, true, namespace)
      }
    })

    test('pulls make a repository popular, day by day', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      const repository = registry.as('owner').repository('owner/api')
      await repository.push(anImage(), 'v1')
      const popularity = async () =>
        (await owner.ok('GET', '/api/v1/repository?namespace=owner&popularity=true')).repositories[0].popularity
      assert.equal(await popularity(), 0)
      for (let round = 0; round < 3; round++) await repository.send('GET', 'manifests/v1')
      while ((await popularity()) < 3) await new Promise((resolve) => setImmediate(resolve))
      const { stats } = await owner.ok('GET', '/api/v1/repository/owner/api?includeStats=true')
      assert.deepEqual(stats, [{ date: new Date(registry.clock.nowMs()).toISOString().slice(0, 10), count: 3 }])
      await registry.pass(31 * 86_400_000)
      assert.equal(
        (await (await registry.browser('owner')).ok('GET', '/api/v1/repository?namespace=owner&popularity=true'))
          .repositories[0].popularity,
        0,
      )
    })

    test('what lists and the search show of a tenancy is exactly what can be opened', async (t) => {
      const config = { accounts: { superUsers: ['root'], superUsersFullAccess: true, readOnlySuperUsers: ['auditor'] } }
      const registry = await startRegistry(t, { database, config })
      const owner = await registry.browser('owner')
      const ids = new Map<string, number>()
      for (const name of ['ada', 'eve', 'root', 'auditor', 'shut']) ids.set(name, await registry.addUser(name))
      for (const name of ['acme', 'labs']) {
        await owner.ok('POST', '/api/v1/organization/', { name }, 201)
        for (const [team, role] of [
          ['devs', 'member'],
          ['heads', 'admin'],
        ])
          await owner.ok('PUT', `/api/v1/organization/${name}/team/${team}`, { role })
      }
      const join = async (team: string, name: string) => {
        const { invite_url } = await owner.ok('PUT', `/api/v1/organization/${team}/members/${name}`)
        const member = await registry.browser(name)
        await member.ok('PUT', `/api/v1/teaminvite/${new URL(invite_url).searchParams.get('code')}`)
      }
      await join('acme/team/devs', 'ada')
      await join('labs/team/heads', 'ada')
      await join('acme/team/heads', 'eve')
      const paths: string[] = []
      for (const namespace of ['acme', 'labs', 'owner', 'ada', 'shut'])
        for (const name of ['svc-granted', 'svc-hidden', 'svc-open', 'svc-team', 'svc-gone']) {
          const path = `${namespace}/${name}`
          paths.push(path)
          const id = await registry.addRepository(path, name === 'svc-open' ? 'public' : 'private')
          const permissions = `/api/v1/repository/${path}/permissions`
          if (name === 'svc-granted' && namespace !== 'ada') await registry.grant(ids.get('ada') ?? 0, path, 'read')
          if (name === 'svc-team' && (namespace === 'acme' || namespace === 'labs'))
            await owner.ok('PUT', `${permissions}/team/devs`, { role: 'read' })
          if (name === 'svc-gone')
            await registry.server.services.db.transaction(deleteRepository, { repositoryId: id, doing: registry.doing })
        }
      const shut = { accountId: ids.get('shut') ?? 0, enabled: false, ...registry.doing }
      await registry.server.services.db.transaction(setEnabled, shut)
      const clients = new Map<string, RestClient>([['nobody', await registry.browser()]])
      for (const name of ['owner', 'ada', 'eve', 'root', 'auditor']) clients.set(name, await registry.browser(name))
      clients.set('a token that reads', await registry.bearer('ada', 'repo:read'))
      clients.set('a token that does not', await registry.bearer('ada', 'user:admin org:admin'))
      for (const [who, client] of clients) {
        const opened: string[] = []
        for (const path of paths) if ((await client.get(`/api/v1/repository/${path}`)).status === 200) opened.push(path)
        const listed = async (query: string) => pathsOf((await client.ok('GET', `/api/v1/${query}`)).repositories)
        assert.deepEqual(await listed('repository?public=true'), opened.toSorted(), `${who}: the list`)
        const lists = ['acme', 'labs', 'owner', 'ada', 'shut'].map((name) =>
          listed(`repository?public=true&namespace=${name}`),
        )
        assert.deepEqual((await Promise.all(lists)).flat().toSorted(), opened.toSorted(), `${who}: one by one`)
        const pages = [1, 2, 3].map((page) => client.ok('GET', `/api/v1/find/repositories?query=svc&page=${page}`))
        const found = (await Promise.all(pages)).flatMap(({ results }) =>
          results.map((hit: { name: string; namespace: { name: string } }) => `${hit.namespace.name}/${hit.name}`),
        )
        assert.deepEqual(found.toSorted(), opened.toSorted(), `${who}: the search`)
      }
    })
  })
})

function pathsOf(repositories: readonly { readonly namespace: string; readonly name: string }[]): string[] {
  return repositories.map(({ namespace, name }) => `${namespace}/${name}`).toSorted()
}
