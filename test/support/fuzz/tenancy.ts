import { anImage } from '../images.ts'
import type { TestRegistry } from '../registry.ts'
import { RestClient } from '../rest-client.ts'
import { Pools } from './known.ts'
import { REDIRECT_URI } from './pages.ts'
import type { Vault } from './vault.ts'

export const roles = ['anonymous', 'outsider', 'reader', 'administrator', 'superuser'] as const
export type Role = (typeof roles)[number]

export interface Tenancy {
  readonly client: RestClient
  readonly pools: Pools
}

/** The name of the superuser of a round, for the configuration. */
export const superuserOf = (round: string): string => `root-${round}`

/**
 * An organization and people of this round's own, so that whatever a round destroys is there again for the next: an
 * administrator with something of everything, an outsider who was invited, somebody who may read one repository.
 */
export async function makeTenancy(registry: TestRegistry, vault: Vault, role: Role, round: string): Promise<Tenancy> {
  const names = {
    organization: `acme-${round}`,
    administrator: `admin-${round}`,
    outsider: `outsider-${round}`,
    reader: `reader-${round}`,
    superuser: superuserOf(round),
  }
  const { organization } = names
  for (const one of ['administrator', 'outsider', 'reader'] as const) await registry.addUser(names[one])
  if (role === 'superuser') await registry.addUser(names.superuser)
  const admin = await registry.browser(names.administrator)
  const base = `/api/v1/organization/${organization}`
  await admin.ok('POST', '/api/v1/organization/', { name: organization, email: `${organization}@example.test` }, 201)
  await registry.addRepository(`${organization}/private`)
  await registry.addRepository(`${organization}/open`, 'public')
  await registry.addRepository(`${names.outsider}/own`)
  await registry.as(names.administrator).repository(`${organization}/open`).push(anImage(), 'latest')
  await registry.grant(registry.accountId(names.reader) ?? 0, `${organization}/private`, 'read')
  await admin.ok('PUT', `${base}/team/devs`, { role: 'member', description: 'Who writes it' })
  await admin.ok('PUT', `${base}/team/makers`, { role: 'creator' })
  const invited = await admin.ok('PUT', `${base}/team/devs/members/${names.outsider}`)
  await admin.ok('PUT', `${base}/team/devs/invite/invited-${round}@example.test`)
  await admin.ok('PUT', `${base}/robots/bot`, { description: 'CI' }, 201)
  await admin.ok('PUT', `${base}/team/devs/members/${organization}+bot`)
  await admin.ok('PUT', '/api/v1/user/robots/bot', undefined, 201)
  await admin.ok('PUT', `/api/v1/repository/${organization}/private/permissions/user/${organization}+bot`, {
    role: 'write',
  })
  await admin.ok('PUT', `/api/v1/repository/${organization}/private/permissions/team/devs`, { role: 'read' })
  const delegate = { kind: 'team', name: 'devs' }
  const prototype = await admin.ok('POST', `${base}/prototypes`, { role: 'read', delegate })
  const application = await admin.ok('POST', `${base}/applications`, { name: 'scripts', redirect_uri: REDIRECT_URI })
  const token = await admin.ok('POST', `${base}/applications/${application.client_id}/tokens`, {
    name: 'ci',
    scope: 'repo:read',
  })
  await admin.ok('POST', '/api/v1/user/starred', { namespace: organization, repository: 'private' }, 201)

  const client = await clientOf(registry, role, role === 'anonymous' ? '' : names[role], admin)
  const pools = new Pools(`new-${round}`)
  if (role !== 'anonymous' && role !== 'reader') {
    const { uuid } = (await client.ok('POST', '/api/v1/user/apptoken', { title: 'laptop' })).token
    pools.own('token_uuid', uuid)
    pools.own('uuid', ...idsIn((await client.ok('GET', '/api/v1/user/notifications')).notifications, 'id'))
  }
  pools.own('uuid', ...idsIn((await admin.ok('GET', '/api/v1/messages')).messages, 'uuid'))
  for (const field of ['orgname', 'namespace']) pools.own(field, organization)
  pools.own(
    'repository',
    ...(role === 'outsider' ? [`${names.outsider}/own`] : [`${organization}/private`, `${organization}/open`]),
  )
  pools.own('name', 'devs', names.outsider, `${organization}+bot`, organization)
  pools.own('username', names.outsider, names.reader, `${organization}+bot`)
  pools.own('adminUser', names.reader)
  for (const field of ['membername', 'subject'])
    pools.own(field, names.administrator, names.outsider, names.reader, `${organization}+bot`)
  pools.own('teamname', 'devs', 'makers')
  pools.own('robot_shortname', 'bot')
  pools.own('form', 'token', 'docker-login', 'docker-config', 'kubernetes-secret', 'rkt', 'mesos', 'podman-login')
  pools.own('client_id', application.client_id)
  pools.own('client_secret', application.client_secret)
  pools.own('prototypeid', prototype.id)
  for (const field of ['token_uuid', 'access_token_uuid']) pools.own(field, token.uuid)
  pools.own('error_type', 'not_found', 'invalid_token')
  pools.own('service_id', 'github', 'oidc')
  pools.own('email', `invited-${round}@example.test`, `new-${round}@example.test`)
  for (const field of ['prefix', 'query']) pools.own(field, 'a', 'acme', organization, 'private open', names.outsider)
  if (role === 'outsider') pools.own('code', new URL(invited.invite_url, registry.url).searchParams.get('code') ?? '')
  // Of the round that they are no part of, these are as foreign as the vault.
  pools.others('repository', `${organization}/private`, `${organization}/open`, `${organization}/none`, 'nowhere/none')
  pools.others('orgname', 'nowhere', names.administrator)
  pools.others('teamname', 'owners', 'devs')
  for (const field of ['username', 'membername', 'subject', 'adminUser', 'name'])
    pools.others(field, names.administrator, 'owner', 'nobody', `${organization}+none`)
  vault.addTo(pools)
  return { client, pools }
}

async function clientOf(registry: TestRegistry, role: Role, name: string, admin: RestClient): Promise<RestClient> {
  if (role === 'administrator') return admin
  if (role === 'reader') return registry.bearer(name, 'repo:read user:read')
  if (role !== 'anonymous') return registry.browser(name)
  const client = new RestClient(registry.url)
  await client.fetchCsrf()
  return client
}

function idsIn(list: readonly Readonly<Record<string, string>>[], field: string): string[] {
  return list.flatMap((one) => one[field] ?? [])
}
