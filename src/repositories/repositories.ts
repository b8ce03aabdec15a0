import { bumpRights } from '../accounts/epochs.ts'
import { type Actor, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type CatalogPosition,
  insertOrganization,
  insertOwners,
  insertRepository,
  removeGrant,
  selectNamespaceForShare,
  selectRepository,
  selectRepositoryStateForShare,
  selectVisibleNamespaces,
  selectVisibleRepositories,
  updateRepository,
  upsertGrant,
} from './repositories.sql.ts'
import type { Repository, RepositoryRole, Visibility } from './repository.ts'

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
  /** Makes an organization of the first segment if there is no such namespace. */
  readonly createNamespace: boolean
  readonly actor: Actor
  readonly address: string
  readonly nowMs: number
}

/**
 * Creates the repository, or finds the one that somebody else has just created. The caller has been found to own the
 * namespace; whoever pushes first into another's namespace becomes admin of what they create.
 * @throws DomainError NAME_UNKNOWN: there is no such namespace, or it is disabled.
 */
export async function putRepository(tx: Tx, input: CreateRepository): Promise<Repository & { created: boolean }> {
  const { namespace: namespaceName, name } = splitPath(input.path)
  if (input.createNamespace) await putOrganization(tx, input, namespaceName)
  const namespace = await selectNamespaceForShare(tx, namespaceName)
  if (namespace === undefined || namespace.state !== 'active') throw refuse('NAME_UNKNOWN', { name: input.path })
  const made = await insertRepository(tx, {
    namespaceId: namespace.id,
    name,
    visibility: input.visibility,
    nowMs: input.nowMs,
  })
  if (made === undefined) {
    const existing = await findRepository(tx, { path: input.path })
    if (existing === undefined) throw refuse('UNAVAILABLE', { retryAfterSeconds: 1 })
    return { ...existing, created: false }
  }
  if (input.actor.accountId !== undefined) await upsertGrant(tx, input.actor.accountId, made.id, 'admin')
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

async function putOrganization(tx: Tx, input: CreateRepository, name: string): Promise<void> {
  const { accountId } = input.actor
  if (accountId === undefined) throw refuse('DENIED')
  const made = await insertOrganization(tx, name, input.nowMs)
  if (made === undefined) return
  await insertOwners(tx, made.id, accountId)
  await bumpRights(tx, { scope: `s:${accountId}`, nowMs: input.nowMs })
  await recordEvent(tx, {
    kind: 'create_namespace',
    namespaceId: made.id,
    actor: input.actor,
    address: input.address,
    occurredMs: input.nowMs,
    metadata: { namespace: name },
  })
}

/** Sets a user's role on a repository; `none` takes it away. Counts in every process within two seconds. */
export async function putGrant(
  tx: Tx,
  input: { accountId: number; repositoryId: number; role: RepositoryRole | 'none'; nowMs: number },
): Promise<void> {
  if (input.role === 'none') await removeGrant(tx, input.accountId, input.repositoryId)
  else await upsertGrant(tx, input.accountId, input.repositoryId, input.role)
  await bumpRights(tx, { scope: `r:${input.repositoryId}`, nowMs: input.nowMs })
}

/** Changes who may read the repository, or whether it takes writes. */
export async function changeRepository(
  tx: Tx,
  input: { repositoryId: number; visibility?: Visibility; state?: Repository['state']; nowMs: number },
): Promise<void> {
  const { visibility, state } = input
  await updateRepository(tx, input.repositoryId, { ...(visibility && { visibility }), ...(state && { state }) })
  await bumpRights(tx, { scope: `r:${input.repositoryId}`, nowMs: input.nowMs })
}

const NAMESPACES_PER_STEP = 100

/**
 * Paths that the caller may read, in byte order of namespace and name, after `after`. Walks namespaces by key and the
 * repositories inside them by key, so a page costs what it shows, not what the registry holds.
 */
export async function listCatalog(
  tx: Tx,
  input: { accountId: number; withPublic: boolean; after: string; limit: number },
): Promise<string[]> {
  const viewer = { accountId: input.accountId, withPublic: input.withPublic }
  const paths: string[] = []
  let position = positionOf(input.after)
  let inclusive = position.name !== ''
  while (paths.length < input.limit) {
    const namespaces = await selectVisibleNamespaces(tx, viewer, position.namespace, inclusive, NAMESPACES_PER_STEP)
    for (const namespace of namespaces) {
      const after = namespace.name === position.namespace ? position.name : ''
      const scope = { id: namespace.id, own: namespace.own === 1 }
      const rows = await selectVisibleRepositories(tx, viewer, scope, after, input.limit - paths.length)
      for (const row of rows) paths.push(`${namespace.name}/${row.name}`)
      if (paths.length >= input.limit) return paths
    }
    const last = namespaces.at(-1)
    if (last === undefined || namespaces.length < NAMESPACES_PER_STEP) return paths
    position = { namespace: last.name, name: '' }
    inclusive = false
  }
  return paths
}

/** `last` may be anything a client sends, also a name that does not exist. */
function positionOf(after: string): CatalogPosition {
  const slash = after.indexOf('/')
  return slash < 0 ? { namespace: after, name: '' } : { namespace: after.slice(0, slash), name: after.slice(slash + 1) }
}
