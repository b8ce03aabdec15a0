import assert from 'node:assert/strict'
import type { TestRegistry } from '../registry.ts'
import type { RestClient } from '../rest-client.ts'
import type { Pools } from './known.ts'

/** In every text of the vault that only its people may read. It stands in no name that a request could have. */
const CANARY = 'cnry'

/**
 * An organization of somebody else, with something of everything. What has an ordinary name here may be asked for by
 * anybody; what has a canary in its name is named to nobody, so that an answer with a canary in it is a leak.
 */
export class Vault {
  /** Tokens and the like. */
  readonly #secrets = new Set<string>()
  readonly #clientId: string
  readonly #prototypeId: string
  readonly #tokenUuids: readonly string[]
  readonly #before: unknown

  private constructor(
    secrets: Iterable<string>,
    clientId: string,
    prototypeId: string,
    tokenUuids: string[],
    before: unknown,
  ) {
    this.#secrets = new Set(secrets)
    this.#clientId = clientId
    this.#prototypeId = prototypeId
    this.#tokenUuids = tokenUuids
    this.#before = before
  }

  static async make(registry: TestRegistry): Promise<Vault> {
    await registry.addUser('stranger')
    const stranger = await registry.browser('stranger')
    const vault = '/api/v1/organization/vault'
    await stranger.ok('POST', '/api/v1/organization/', { name: 'vault', email: `${CANARY}@vault.example.test` }, 201)
    await registry.addRepository('vault/open', 'public')
    for (const path of ['vault/hidden', `vault/${CANARY}-repository`, `stranger/${CANARY}-private`]) {
      await registry.addRepository(path)
      await stranger.ok('PUT', `/api/v1/repository/${path}`, { description: `${CANARY} what it is for` })
    }
    const description = `${CANARY} a description`
    for (const team of ['guards', `${CANARY}-team`])
      await stranger.ok('PUT', `${vault}/team/${team}`, { role: 'member', description })
    const secrets: string[] = []
    for (const robot of [`${vault}/robots/guard`, `${vault}/robots/${CANARY}`, `/api/v1/user/robots/${CANARY}`]) {
      const body = { description, unstructured_metadata: { note: CANARY } }
      secrets.push((await stranger.ok('PUT', robot, body, 201)).token)
    }
    for (const path of ['vault/open', 'vault/hidden']) {
      const permissions = `/api/v1/repository/${path}/permissions`
      await stranger.ok('PUT', `${permissions}/user/vault+${CANARY}`, { role: 'write' })
      await stranger.ok('PUT', `${permissions}/team/${CANARY}-team`, { role: 'read' })
    }
    const delegate = { kind: 'team', name: `${CANARY}-team` }
    const prototype = await stranger.ok('POST', `${vault}/prototypes`, { role: 'read', delegate })
    const invited = await stranger.ok('PUT', `${vault}/team/guards/invite/${CANARY}@mail.example.test`)
    secrets.push(new URL(invited.invite_url, registry.url).searchParams.get('code') ?? '')
    // Who knows the client id of an application may ask what it is called.
    const application = await stranger.ok('POST', `${vault}/applications`, { name: 'safe' })
    const hidden = await stranger.ok('POST', `${vault}/applications`, { name: CANARY, description })
    secrets.push(application.client_secret, hidden.client_secret, hidden.client_id)
    const tokens = `${vault}/applications/${application.client_id}/tokens`
    const oauth = await stranger.ok('POST', tokens, { name: CANARY, scope: 'repo:read' })
    const app = (await stranger.ok('POST', '/api/v1/user/apptoken', { title: CANARY })).token
    secrets.push(oauth.token, app.token_code)
    await stranger.ok('PUT', '/api/v1/user/', { given_name: CANARY, company: CANARY, location: CANARY })
    assert.ok(secrets.every((secret) => secret.length > 10))
    const before = await contentOf(stranger)
    return new Vault(secrets, application.client_id, prototype.id, [oauth.uuid, app.uuid], before)
  }

  /** What others may ask for, or guess. */
  addTo(pools: Pools): void {
    for (const field of ['orgname', 'namespace', 'name']) pools.others(field, 'vault')
    for (const field of ['username', 'membername', 'subject', 'adminUser'])
      pools.others(field, 'stranger', 'vault+guard')
    pools.others('repository', 'vault/hidden', 'vault/open')
    pools.others('teamname', 'guards', 'owners')
    pools.others('robot_shortname', 'guard')
    pools.others('client_id', this.#clientId)
    pools.others('prototypeid', this.#prototypeId)
    for (const field of ['token_uuid', 'access_token_uuid', 'uuid', 'assigned_authorization_uuid'])
      pools.others(field, ...this.#tokenUuids, this.#prototypeId)
    // Finds the canaries by their beginning, and is none itself if it comes back.
    for (const field of ['prefix', 'query']) pools.others(field, CANARY.slice(0, 3), 'vault', 'stranger')
  }

  /** What of the vault stands in a text. */
  leakIn(text: string): string | undefined {
    if (text.includes(CANARY)) return text.slice(Math.max(0, text.indexOf(CANARY) - 60), text.indexOf(CANARY) + 60)
    return [...this.#secrets].find((secret) => text.includes(secret))
  }

  /** @throws AssertionError when somebody who has no rights here has changed something. */
  async assertUntouched(registry: TestRegistry): Promise<void> {
    assert.deepEqual(await contentOf(await registry.browser('stranger')), this.#before)
  }
}

async function contentOf(stranger: RestClient): Promise<unknown> {
  const content: Record<string, unknown> = {}
  for (const path of [
    'organization/vault',
    'organization/vault/members',
    'organization/vault/collaborators',
    'organization/vault/robots?permissions=true',
    'organization/vault/applications',
    'organization/vault/prototypes',
    'organization/vault/team/guards/members?includePending=true',
    ...['hidden', 'open'].flatMap((name) => [
      `repository/vault/${name}`,
      `repository/vault/${name}/permissions/user/`,
      `repository/vault/${name}/permissions/team/`,
    ]),
    'user/',
    'user/robots',
    'user/apptoken',
    'user/authorizations',
  ])
    content[path] = await stranger.ok('GET', `/api/v1/${path}`)
  return content
}
