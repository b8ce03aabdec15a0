import type { TestRegistry } from '../../../support/registry.ts'
import { RestClient } from '../../../support/rest-client.ts'

type RepositoryRole = 'read' | 'write' | 'admin'
type TeamRole = 'member' | 'creator' | 'admin'

/** Somebody who calls, with what they hold: said here, in words of the contract, and not asked of the server. */
export interface MatrixCaller {
  readonly name: string
  readonly client: RestClient
  readonly signedIn: boolean
  /** Came from a page of ours, which knows the token for changes. */
  readonly hasPage: boolean
  /** In the organization `acme`. */
  readonly team: TeamRole | null
  /** On `acme/private` and `acme/open`. */
  readonly repository: RepositoryRole | null
  readonly superuser: boolean
  readonly auditor: boolean
  /** How far the credential reaches. */
  readonly reach: {
    readonly repository: RepositoryRole | null
    readonly team: TeamRole | null
    readonly user: 'read' | 'admin' | null
    readonly superuser: boolean
  }
}

const everything = { repository: 'admin', team: 'admin', user: 'admin', superuser: true } as const
const nothing = { repository: null, team: null, user: null, superuser: false } as const

export const matrixConfig = {
  accounts: { superUsers: ['root', 'chief'], readOnlySuperUsers: ['auditor'], superUserConfigDump: true },
}

/** An organization with everybody that the contract tells apart, and an organization of somebody else. */
export async function matrixCallers(registry: TestRegistry): Promise<MatrixCaller[]> {
  const names = [
    'chief',
    'outsider',
    'reader',
    'writer',
    'keeper',
    'member',
    'creator',
    'administrator',
    'root',
    'auditor',
    'stranger',
  ]
  const ids = new Map<string, number>()
  for (const name of names) ids.set(name, await registry.addUser(name))
  const chief = await registry.browser('chief')
  await chief.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  await (await registry.browser('stranger')).ok('POST', '/api/v1/organization/', { name: 'foreign' }, 201)
  await registry.addRepository('acme/private')
  await registry.addRepository('acme/open', 'public')
  await registry.addRepository('foreign/secret')
  const grants = { reader: 'read', writer: 'write', keeper: 'admin' } as const
  for (const [name, role] of Object.entries(grants))
    for (const path of ['acme/private', 'acme/open']) await registry.grant(ids.get(name) ?? 0, path, role)
  for (const role of ['member', 'creator', 'admin'] as const) {
    const name = role === 'admin' ? 'administrator' : role
    await chief.ok('PUT', `/api/v1/organization/acme/team/${role}s`, { role })
    const invite = await chief.ok('PUT', `/api/v1/organization/acme/team/${role}s/members/${name}`)
    const code = new URL(invite.invite_url).searchParams.get('code')
    await (await registry.browser(name)).ok('PUT', `/api/v1/teaminvite/${code}`)
  }
  const robot = await chief.ok('PUT', '/api/v1/organization/acme/robots/bot', undefined, 201)

  const person = async (name: string, more: Partial<MatrixCaller>): Promise<MatrixCaller> => ({
    name,
    client: await registry.browser(name),
    signedIn: true,
    hasPage: true,
    team: null,
    repository: null,
    superuser: false,
    auditor: false,
    reach: everything,
    ...more,
  })
  // `chief` holds every role, so that what a token may do is what its scope allows.
  const holdsAll = { team: 'admin', repository: 'admin', superuser: true } as const
  const token = async (scope: string, reach: MatrixCaller['reach']): Promise<MatrixCaller> => ({
    name: `token ${scope}`,
    client: await registry.bearer('chief', scope),
    signedIn: true,
    hasPage: true,
    auditor: false,
    ...holdsAll,
    reach,
  })
  const basic = Buffer.from(`acme+bot:${robot.token}`).toString('base64')
  const nobody = {
    signedIn: false,
    hasPage: false,
    team: null,
    repository: null,
    superuser: false,
    auditor: false,
    reach: nothing,
  }
  const anonymous = new RestClient(registry.url)
  await anonymous.fetchCsrf()
  return [
    { name: 'anonymous', client: anonymous, ...nobody, hasPage: true },
    // Robot accounts are for clients: here they are nobody.
    { name: 'robot', client: new RestClient(registry.url, `Basic ${basic}`), ...nobody },
    { name: 'token revoked', client: new RestClient(registry.url, `Bearer ${'x'.repeat(40)}`), ...nobody },
    await person('outsider', {}),
    await person('reader', { repository: 'read' }),
    await person('writer', { repository: 'write' }),
    await person('keeper', { repository: 'admin' }),
    await person('member', { team: 'member' }),
    await person('creator', { team: 'creator' }),
    await person('administrator', { team: 'admin', repository: 'admin' }),
    await person('root', { superuser: true }),
    await person('auditor', { auditor: true, repository: 'read' }),
    await token('repo:read', { ...nothing, repository: 'read' }),
    await token('repo:write', { ...nothing, repository: 'write' }),
    await token('repo:admin', { ...nothing, repository: 'admin' }),
    await token('repo:create', { ...nothing, team: 'creator' }),
    await token('user:read', { ...nothing, user: 'read' }),
    await token('user:admin', { ...nothing, user: 'admin' }),
    await token('org:admin', { ...nothing, team: 'admin' }),
    await token('super:user', { ...nothing, superuser: true }),
  ]
}
