import { bumpRights } from '../accounts/epochs.ts'
import type { RepositoryRole } from '../accounts/roles.ts'
import { type Actor, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { findDefaultPermissions } from '../organizations/default-permissions.ts'
import { createOrganization } from '../organizations/organizations.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { checkDescription } from './changes.ts'
import { upsertGrant, upsertTeamGrant } from './grants.sql.ts'
import {
  insertRepository,
  selectNamespaceForShare,
  selectRepository,
  selectRepositoryStateForShare,
} from './repositories.sql.ts'
import type { Repository, Visibility } from './repository.ts'
import { insertWords } from './words.sql.ts'
import { wordsOf } from './words.ts'

export type { Repository, RepositoryRole, Visibility }

/** Splits `namespace/rest` of a path that a parser of `oci/name.ts` has accepted. */
export function splitPath(path: string): { namespace: string; name: string } {
  const slash = path.indexOf('/')
  return { namespace: path.slice(0, slash), name: path.slice(slash + 1) }
}

/** Undefined when there is no such repository; rights are none of its business. */
export async function findRepository(tx: Tx, input: { path: string }): Promise<Repository | undefined> {
  const { namespace, name } = splitPath(input.path)
  const row = await selectRepository(tx, namespace, name)
  return (
    row && { id: row.id, namespaceId: row.namespaceId, path: input.path, visibility: row.visibility, state: row.state }
  )
}

/**
 * Holds the repository for a write and looks at its state again, inside the transaction that writes.
 * @throws DomainError NAME_UNKNOWN: deleted meanwhile; DENIED: it takes no writes now.
 */
export async function holdForWrite(tx: Tx, repository: { readonly id: number; readonly path: string }): Promise<void> {
  const row = await selectRepositoryStateForShare(tx, repository.id)
  if (row === undefined) throw refuse('NAME_UNKNOWN', { name: repository.path })
  if (row.state !== 'NORMAL') {
    throw refuse(
      'DENIED',
      { name: repository.path, state: row.state },
      `The repository ${repository.path} takes no pushes: its state is ${row.state}.`,
    )
  }
}

export interface CreateRepository {
  readonly path: string
  readonly visibility: Visibility
  readonly description?: string
  /** Makes an organization of the first segment if there is no such namespace. */
  readonly createNamespace: boolean
  readonly actor: Actor
  readonly address: string
  readonly nowMs: number
}

/**
 * Creates the repository, or finds the one that somebody else has just created: whether the caller may use that one is a
 * new question. The caller has been found to have the right to create in the namespace; whoever creates something in
 * another's namespace becomes its admin.
 * @throws DomainError NAME_UNKNOWN: there is no such namespace, or it is disabled.
 */
export async function putRepository(tx: Tx, input: CreateRepository): Promise<Repository & { created: boolean }> {
  const { namespace: namespaceName, name } = splitPath(input.path)
  if (input.createNamespace) await putOrganization(tx, input, namespaceName)
  const { description = '' } = input
  checkDescription(description)
  const namespace = await selectNamespaceForShare(tx, namespaceName)
  if (namespace === undefined || namespace.state !== 'active') throw refuse('NAME_UNKNOWN', { name: input.path })
  const made = await insertRepository(tx, {
    namespaceId: namespace.id,
    name,
    visibility: input.visibility,
    description,
    nowMs: input.nowMs,
  })
  if (made === undefined) {
    const existing = await findRepository(tx, { path: input.path })
    if (existing === undefined) throw refuse('UNAVAILABLE', { retryAfterSeconds: 1 })
    return { ...existing, created: false }
  }
  const isPublic = input.visibility === 'public'
  await insertWords(tx, { id: made.id, namespaceId: namespace.id, isPublic }, wordsOf(name))
  const creatorId = input.actor.accountId
  if (namespace.kind === 'organization') await applyDefaults(tx, namespace.id, made.id, creatorId)
  // Whoever owns the namespace needs no grant, and would keep one when the namespace goes to somebody else.
  if (creatorId !== undefined && creatorId !== namespace.ownerId) await upsertGrant(tx, creatorId, made.id, 'admin')
  await bumpRights(tx, { scope: `n:${namespace.id}`, nowMs: input.nowMs })
  await recordEvent(tx, {
    kind: 'create_repo',
    namespaceId: namespace.id,
    repositoryId: made.id,
    actor: input.actor,
    address: input.address,
    occurredMs: input.nowMs,
    metadata: { repo: name, namespace: namespaceName, visibility: input.visibility },
  })
  return {
    id: made.id,
    namespaceId: namespace.id,
    path: input.path,
    visibility: input.visibility,
    state: 'NORMAL',
    created: true,
  }
}

/**
 * Gives a new repository what its organization grants by default. Of two rules for one delegate the one that speaks of the
 * creator by name counts, also when it grants less.
 */
async function applyDefaults(
  tx: Tx,
  namespaceId: number,
  repositoryId: number,
  creatorId: number | undefined,
): Promise<void> {
  const accounts = new Map<number, RepositoryRole>()
  const teams = new Map<number, RepositoryRole>()
  for (const { accountId, teamId, role } of await findDefaultPermissions(tx, {
    namespaceId,
    creatorId: creatorId ?? 0,
  })) {
    const [map, id] = teamId === null ? [accounts, accountId] : [teams, teamId]
    if (id !== null) map.set(id, role)
  }
  for (const [id, role] of accounts) await upsertGrant(tx, id, repositoryId, role)
  for (const [id, role] of teams) await upsertTeamGrant(tx, id, repositoryId, role)
}

async function putOrganization(tx: Tx, input: CreateRepository, name: string): Promise<void> {
  const { actor, address, nowMs } = input
  if (actor.accountId === undefined) throw refuse('DENIED')
  try {
    await createOrganization(tx, { name, ownerId: actor.accountId, doing: { actor, address, nowMs } })
  } catch (error) {
    // Somebody else was faster: then it is there, and whether the push may go on is asked again.
    if (!isRefusal(error, 'ACCOUNT_EXISTS')) throw error
  }
}
