import type { RightsEpochs } from '../accounts/epochs.ts'
import {
  holdsRepositoryRole,
  holdsTeamRole,
  type RepositoryRole,
  repositoryRoles,
  strongest,
  type TeamRole,
} from '../accounts/roles.ts'
import { noStanding, type Standing } from '../accounts/standing.ts'
import type { Db, Tx } from '../db/db.ts'
import type { Repository } from '../repositories/repositories.ts'
import { type AccessRow, selectAccess } from './access.sql.ts'

/** What a subject may do with a repository now. `create`: the repository is missing and they may make it by pushing. */
export interface Rights {
  readonly pull: boolean
  readonly push: boolean
  readonly admin: boolean
  readonly create: boolean
}

export interface Namespace {
  readonly id: number
  readonly name: string
  readonly kind: 'user' | 'organization'
  readonly state: 'active' | 'disabled' | 'deleted'
}

/** Who asks and about what, resolved once. */
export interface Access {
  readonly namespace: Namespace | undefined
  readonly repository: Repository | undefined
  /** In the namespace: its owner is its admin. */
  readonly namespaceRole: TeamRole | null
  /** On the repository, whatever its state; public reading is no role. */
  readonly repositoryRole: RepositoryRole | null
  readonly rights: Rights
  /** True when a valid account asks, false for anonymous. */
  readonly account: boolean
  readonly namespaceExists: boolean
  /** False when the account is gone or disabled, or its tokens were ended: the credential counts no more. */
  readonly subjectValid: boolean
}

export interface AccessQuery {
  /** 0 for anonymous. */
  readonly accountId: number
  /** The epoch that the credential carries; must be the account's. */
  readonly tokenEpoch: number
  readonly namespace: string
  /** Empty to ask about the namespace alone. */
  readonly repository: string
  /** What the configuration says of the account. Follows from its name, so it is no part of what a cache goes by. */
  readonly standing?: Standing
  /** A token of its own that was used in place of the password: the subject counts only as long as that exists. */
  readonly credential?: { readonly kind: 'oauth' | 'app'; readonly id: number }
}

/** The one place where rights are computed. Reads only; cached by `AccessCache`. */
export async function resolveAccess(tx: Tx, input: AccessQuery): Promise<Access> {
  return decide(input, await selectAccess(tx, input))
}

/** The decision itself, from the one row that everything depends on. */
export function decide(input: AccessQuery, row: AccessRow): Access {
  const namespace =
    row.namespaceId === null || row.namespaceKind === null || row.namespaceState === null
      ? undefined
      : { id: row.namespaceId, name: input.namespace, kind: row.namespaceKind, state: row.namespaceState }
  const repository: Repository | undefined =
    row.repositoryId === null || row.namespaceId === null || row.visibility === null || row.state === null
      ? undefined
      : {
          id: row.repositoryId,
          namespaceId: row.namespaceId,
          path: `${input.namespace}/${input.repository}`,
          visibility: row.visibility,
          state: row.state,
        }
  const subjectValid = input.accountId === 0 || countsAsSubject(input, row)
  const account = input.accountId !== 0 && subjectValid
  const standing = account ? (input.standing ?? noStanding) : noStanding
  const namespaceRole = account ? namespaceRoleOf(row, standing) : null
  const repositoryRole = account && repository !== undefined ? repositoryRoleOf(row, namespaceRole, standing) : null
  return {
    namespace,
    repository,
    namespaceRole,
    repositoryRole,
    rights: rightsOf(row, namespaceRole, repositoryRole, standing),
    account,
    namespaceExists: namespace !== undefined,
    subjectValid,
  }
}

function countsAsSubject(input: AccessQuery, row: AccessRow): boolean {
  if (row.accountEnabled !== 1 || row.tokenEpoch !== input.tokenEpoch) return false
  // A robot account goes with its owner.
  if (row.accountKind === 'robot' && row.ownNamespaceState !== 'active') return false
  return input.credential === undefined || row.credential === 1
}

function namespaceRoleOf(row: AccessRow, standing: Standing): TeamRole | null {
  if (row.namespaceState !== 'active') return null
  // A robot account belongs to its namespace and owns nothing there.
  const isOwn = row.accountKind === 'user' && row.ownNamespaceId === row.namespaceId
  return isOwn || standing.fullAccess ? 'admin' : row.teamRole
}

function repositoryRoleOf(row: AccessRow, namespaceRole: TeamRole | null, standing: Standing): RepositoryRole | null {
  if (row.namespaceState !== 'active') return null
  if (namespaceRole === 'admin') return 'admin'
  const ofTeams = row.teamGrant === null ? null : (grantOrder[row.teamGrant - 1] ?? null)
  const granted = strongest(repositoryRoles, row.ownRole, ofTeams)
  return granted ?? (standing.readsAll ? 'read' : null)
}

const grantOrder: readonly RepositoryRole[] = ['admin', 'write', 'read']
const noRights: Rights = { pull: false, push: false, admin: false, create: false }

function rightsOf(
  row: AccessRow,
  namespaceRole: TeamRole | null,
  role: RepositoryRole | null,
  standing: Standing,
): Rights {
  if (row.namespaceState !== 'active') return noRights
  const admin = role === 'admin' || (row.repositoryId === null && namespaceRole === 'admin')
  if (row.repositoryId === null) return { ...noRights, create: mayCreateIn(row, namespaceRole, standing), admin }
  const writes = holdsRepositoryRole(role, 'write') && row.state === 'NORMAL'
  return { pull: role !== null || row.visibility === 'public', push: writes, admin, create: false }
}

function mayCreateIn(row: AccessRow, namespaceRole: TeamRole | null, standing: Standing): boolean {
  if (standing.restricted && row.ownNamespaceId === row.namespaceId) return false
  return holdsTeamRole(namespaceRole, 'creator')
}

interface Entry {
  readonly access: Access
  readonly generation: number
  readonly scopes: readonly string[]
  readonly epochs: readonly number[]
}

const MAX_ENTRIES = 50_000

/**
 * Rights per (subject, name), kept as long as no epoch of the subject, the namespace or the repository has moved. Missing
 * repositories are never kept, so one that has just been created is seen at once.
 */
export class AccessCache {
  readonly #db: Db
  readonly #epochs: RightsEpochs
  readonly #entries = new Map<string, Entry>()
  readonly #loading = new Map<string, Promise<Access>>()

  constructor(db: Db, epochs: RightsEpochs) {
    this.#db = db
    this.#epochs = epochs
  }

  /** The cached answer, or undefined when the database must be asked. */
  peek(query: AccessQuery): Access | undefined {
    const entry = this.#entries.get(keyOf(query))
    return entry !== undefined && this.#isFresh(entry) ? entry.access : undefined
  }

  get(query: AccessQuery): Promise<Access> {
    const key = keyOf(query)
    const entry = this.#entries.get(key)
    if (entry !== undefined) {
      if (this.#isFresh(entry)) return Promise.resolve(entry.access)
      this.#entries.delete(key)
    }
    let loading = this.#loading.get(key)
    if (loading === undefined) {
      loading = this.#load(key, query).finally(() => this.#loading.delete(key))
      this.#loading.set(key, loading)
    }
    return loading
  }

  async #load(key: string, query: AccessQuery): Promise<Access> {
    // Epochs are read before the rows: a change that comes in between makes the entry stale, never wrongly fresh.
    const before = this.#snapshotOfSubject(query)
    const access = await this.#db.read(resolveAccess, query)
    const { namespace, repository } = access
    // What is missing is never kept, but for a namespace asked about by itself.
    if (namespace === undefined || (repository === undefined && query.repository !== '')) return access
    const scopes = [before.scope, `n:${namespace.id}`]
    if (repository !== undefined) scopes.push(`r:${repository.id}`)
    if (before.generation !== this.#epochs.generation || before.changes !== this.#epochs.changes) return access
    if (this.#entries.size >= MAX_ENTRIES) this.#dropOldest()
    this.#entries.set(key, {
      access,
      generation: before.generation,
      scopes,
      epochs: scopes.map((scope) => this.#epochs.current(scope)),
    })
    return access
  }

  #snapshotOfSubject(query: AccessQuery) {
    return { scope: `s:${query.accountId}`, generation: this.#epochs.generation, changes: this.#epochs.changes }
  }

  #isFresh(entry: Entry): boolean {
    if (entry.generation !== this.#epochs.generation) return false
    for (let at = 0; at < entry.scopes.length; at++) {
      if (this.#epochs.current(entry.scopes[at] ?? '') !== entry.epochs[at]) return false
    }
    return true
  }

  #dropOldest(): void {
    const oldest = this.#entries.keys().next()
    if (!oldest.done) this.#entries.delete(oldest.value)
  }
}

function keyOf(query: AccessQuery): string {
  const { credential } = query
  const by = credential === undefined ? '' : `${credential.kind}${credential.id}`
  return `${query.accountId}.${query.tokenEpoch}.${by}|${query.namespace}/${query.repository}`
}
