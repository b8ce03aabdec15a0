import { findAccount } from '../accounts/accounts.ts'
import type { RepositoryRole } from '../accounts/roles.ts'
import { noStanding, type Standing, standingOf } from '../accounts/standing.ts'
import type { Tx } from '../db/db.ts'
import type { Config } from '../platform/config/config.ts'
import { splitPath } from '../repositories/repositories.ts'
import { type AccessRow, selectAccess, selectTeamPaths, type TeamPath } from './access.sql.ts'
import { type Access, type AccessQuery, decide, type Rights } from './access.ts'

/** One reason for which somebody may do something, or may not. */
export interface AccessPath {
  readonly via: 'public' | 'owner' | 'superuser' | 'read-only superuser' | 'grant' | 'team' | 'refusal'
  /** What it gives on the repository; null for what gives nothing there, or takes away. */
  readonly role: RepositoryRole | null
  /** A sentence for the person who wonders. */
  readonly explanation: string
}

export interface Explanation {
  readonly subject: string
  readonly repository: string
  /** Of all paths together, whatever the state of the repository; reading a public one is no role. */
  readonly role: RepositoryRole | null
  readonly rights: Rights
  readonly paths: readonly AccessPath[]
}

/** Who has not signed in, among subjects: no account can be called so. */
export const ANONYMOUS = '@anonymous'

export interface Explain {
  /** Name of a user or robot account, or `@anonymous`. */
  readonly subject: string
  /** `namespace/name`. */
  readonly path: string
  readonly settings: AccessSettings
}

/** What the configuration has to say. */
export interface AccessSettings {
  /** Of a user of the name that is asked about. */
  readonly standing: Standing
  readonly anonymousAccess: boolean
  /** The whole registry takes no changes. */
  readonly readOnly: boolean
}

export function accessSettings(
  { accounts, server }: Pick<Config, 'accounts' | 'server'>,
  name: string,
): AccessSettings {
  const { anonymousAccess } = accounts
  return { standing: standingOf(accounts, name), anonymousAccess, readOnly: server.readOnly }
}

/** Why somebody may or may not use a repository, by every path; undefined when there is no such account. */
export async function explainSubject(tx: Tx, { subject, path, settings }: Explain): Promise<Explanation | undefined> {
  const account = subject === ANONYMOUS ? undefined : await findAccount(tx, { name: subject })
  if (account === undefined && subject !== ANONYMOUS) return undefined
  const { namespace, name: repository } = splitPath(path)
  const { access, paths } = await explainAccess(tx, {
    namespace,
    repository,
    accountId: account?.id ?? 0,
    tokenEpoch: account?.tokenEpoch ?? 0,
    standing: account?.kind === 'user' ? settings.standing : noStanding,
  })
  const shut = account === undefined && !settings.anonymousAccess
  const { pull, push, admin, create } = access.rights
  return {
    subject,
    repository: path,
    role: access.repositoryRole,
    rights: { pull: pull && !shut, push: push && !settings.readOnly, admin, create: create && !settings.readOnly },
    paths: [
      ...paths,
      ...(shut ? [refusal('FEATURE_ANONYMOUS_ACCESS is off: nobody reads without signing in.')] : []),
      ...(settings.readOnly ? [refusal('The whole registry is read-only: nobody may push.')] : []),
    ],
  }
}

function refusal(explanation: string): AccessPath {
  return { via: 'refusal', role: null, explanation }
}

/** The same decision as `resolveAccess`, with every path that leads to it. */
export async function explainAccess(tx: Tx, input: AccessQuery): Promise<{ access: Access; paths: AccessPath[] }> {
  const row = await selectAccess(tx, input)
  const access = decide(input, row)
  const teams =
    row.namespaceId === null ? [] : await selectTeamPaths(tx, input.accountId, row.namespaceId, row.repositoryId)
  const grants = access.subjectValid && row.namespaceState === 'active' ? grantsOf(input, row, access, teams) : []
  return { access, paths: [...grants, ...whyNot(input, row, access, grants).map(refusal)] }
}

function grantsOf(input: AccessQuery, row: AccessRow, access: Access, teams: readonly TeamPath[]): AccessPath[] {
  const paths: AccessPath[] = []
  const add = (via: AccessPath['via'], role: AccessPath['role'], explanation: string) =>
    paths.push({ via, role: row.repositoryId === null ? null : role, explanation })
  if (row.visibility === 'public') add('public', 'read', 'The repository is public: everybody may pull.')
  if (!access.account) return paths
  const { standing = noStanding, namespace } = input
  if (row.accountKind === 'user' && row.ownNamespaceId === row.namespaceId)
    add('owner', 'admin', `${namespace} is the account's own namespace.`)
  if (standing.fullAccess)
    add('superuser', 'admin', 'The account is a superuser, and FEATURE_SUPERUSERS_FULL_ACCESS is on.')
  if (standing.readsAll) add('read-only superuser', 'read', 'The account is named in GLOBAL_READONLY_SUPER_USERS.')
  if (row.ownRole !== null) add('grant', row.ownRole, `The repository grants the account itself ${row.ownRole}.`)
  for (const { team, teamRole, role } of teams) {
    if (teamRole === 'admin')
      add('team', 'admin', `The account is in the team ${team}, which administers ${namespace}.`)
    if (teamRole === 'creator' && row.repositoryId === null)
      add('team', null, `The account is in the team ${team}, which may create repositories in ${namespace}.`)
    if (role !== null) add('team', role, `The account is in the team ${team}, to which the repository grants ${role}.`)
  }
  return paths
}

function whyNot(input: AccessQuery, row: AccessRow, access: Access, grants: readonly AccessPath[]): string[] {
  const { namespace, repository, standing = noStanding } = input
  if (!access.subjectValid) return [whyNoSubject(row)]
  if (row.namespaceState === null) return [`There is no namespace ${namespace}.`]
  if (row.namespaceState !== 'active')
    return [`The namespace ${namespace} is ${row.namespaceState}: nobody has rights in it.`]
  const found: string[] = []
  if (row.repositoryId === null) found.push(`There is no repository ${repository} in ${namespace}.`)
  if (row.repositoryId === null && standing.restricted && row.ownNamespaceId === row.namespaceId)
    found.push('FEATURE_RESTRICTED_USERS keeps the account from creating repositories in its own namespace.')
  if (row.repositoryId !== null && grants.length === 0)
    found.push(`The repository is private, and nothing gives ${access.account ? 'the account' : 'everybody'} a role.`)
  if (row.state !== null && row.state !== 'NORMAL')
    found.push(`The state of the repository is ${row.state}: nobody may push.`)
  return found
}

function whyNoSubject(row: AccessRow): string {
  if (row.accountEnabled === 0) return 'The account is disabled.'
  if (row.accountKind === 'robot' && row.ownNamespaceState !== 'active')
    return `The namespace that the robot account belongs to is ${row.ownNamespaceState ?? 'gone'}.`
  return 'The account is gone, or the credential was revoked.'
}
