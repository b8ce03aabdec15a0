import type { RightsEpochs } from '../accounts/epochs.ts'
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

/** Who asks and about what, resolved once. */
export interface Access {
  readonly repository: Repository | undefined
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
  readonly repository: string
}

/** The one place where rights are computed. Reads only; cached by `AccessCache`. */
export async function resolveAccess(tx: Tx, input: AccessQuery): Promise<Access> {
  const row = await selectAccess(tx, input.accountId, input.namespace, input.repository)
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
  const subjectValid = input.accountId === 0 || (row.accountEnabled === 1 && row.tokenEpoch === input.tokenEpoch)
  const account = input.accountId !== 0 && subjectValid
  return {
    repository,
    rights: rightsOf(row, account),
    account,
    namespaceExists: row.namespaceId !== null,
    subjectValid,
  }
}

const noRights: Rights = { pull: false, push: false, admin: false, create: false }

function rightsOf(row: AccessRow, isAccount: boolean): Rights {
  if (row.namespaceState !== 'active') return noRights
  const owner = isAccount && (row.ownNamespaceId === row.namespaceId || row.teamRole === 'admin')
  const creator = owner || (isAccount && row.teamRole === 'creator')
  if (row.repositoryId === null) return { ...noRights, create: creator, admin: owner }
  const role = owner ? 'admin' : isAccount ? row.role : null
  const admin = role === 'admin'
  const writes = (admin || role === 'write') && row.state === 'NORMAL'
  return { pull: role !== null || row.visibility === 'public', push: writes, admin, create: false }
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
    const { repository } = access
    if (repository === undefined) return access
    const scopes = [before.scope, `n:${repository.namespaceId}`, `r:${repository.id}`]
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
  return `${query.accountId}.${query.tokenEpoch}|${query.namespace}/${query.repository}`
}
