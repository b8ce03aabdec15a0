import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface RobotRow {
  readonly id: number
  readonly name: string
  readonly namespaceId: number
  readonly description: string | null
  /** JSON text. */
  readonly metadata: string | null
  readonly secretSealed: Uint8Array | null
  readonly createdMs: number
  readonly lastAccessedMs: number | null
}

const columns = sql`id, name, namespace_id as "namespaceId", description, metadata, secret_sealed as "secretSealed",
           created_ms as "createdMs", last_accessed_ms as "lastAccessedMs"`

export interface NewRobot {
  readonly name: string
  readonly namespaceId: number
  readonly description: string
  readonly metadata: string
  readonly secretHash: string
  readonly secretSealed: Uint8Array
  readonly nowMs: number
}

/** Undefined when there is one of that name. */
export function insertRobot(tx: Tx, row: NewRobot): Promise<RobotRow | undefined> {
  return tx.first(sql`
    insert into account (kind, name, namespace_id, enabled, token_epoch, created_ms, description, metadata, secret_hash, secret_sealed)
    values ('robot', ${row.name}, ${row.namespaceId}, 1, 1, ${row.nowMs}, ${row.description}, ${row.metadata},
            ${row.secretHash}, ${row.secretSealed})
    on conflict (name) do nothing
    returning ${columns}`)
}

export function selectRobot(tx: Tx, namespaceId: number, name: string): Promise<RobotRow | undefined> {
  return tx.first(sql`
    select ${columns} from account where name = ${name} and kind = 'robot' and namespace_id = ${namespaceId}`)
}

export function selectRobots(tx: Tx, namespaceId: number, limit: number): Promise<RobotRow[]> {
  return tx.all(sql`
    select ${columns} from account
     where kind = 'robot' and namespace_id = ${namespaceId}
     order by name
     limit ${limit}`)
}

/** Ends whatever the old secret has opened. */
export function updateRobotSecret(
  tx: Tx,
  id: number,
  row: { secretHash: string; secretSealed: Uint8Array },
): Promise<RobotRow | undefined> {
  return tx.first(sql`
    update account
       set secret_hash = ${row.secretHash}, secret_sealed = ${row.secretSealed}, token_epoch = token_epoch + 1
     where id = ${id}
    returning ${columns}`)
}

/** Everything that hangs on a robot account, and then the account. */
export async function removeRobot(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`delete from repository_grant where account_id = ${id}`)
  await tx.run(sql`delete from team_member where account_id = ${id}`)
  await tx.run(sql`delete from default_permission where account_id = ${id}`)
  await tx.run(sql`delete from default_permission where creator_id = ${id}`)
  await tx.run(sql`delete from account where id = ${id} and kind = 'robot'`)
}

export interface RobotSignInRow {
  readonly id: number
  readonly name: string
  readonly namespaceId: number
  readonly enabled: number
  readonly secretHash: string | null
  readonly tokenEpoch: number
  readonly lastAccessedMs: number | null
  /** Of the namespace that owns it. */
  readonly ownerState: 'active' | 'disabled' | 'deleted'
}

export function selectRobotSignIn(tx: Tx, name: string): Promise<RobotSignInRow | undefined> {
  return tx.first(sql`
    select a.id, a.name, a.namespace_id as "namespaceId", a.enabled, a.secret_hash as "secretHash",
           a.token_epoch as "tokenEpoch", a.last_accessed_ms as "lastAccessedMs", n.state as "ownerState"
      from account a join namespace n on n.id = a.namespace_id
     where a.name = ${name} and a.kind = 'robot'`)
}

export async function updateAccessed(tx: Tx, accountId: number, nowMs: number): Promise<void> {
  await tx.run(sql`update account set last_accessed_ms = ${nowMs} where id = ${accountId}`)
}

/** Teams of robot accounts of a namespace, as pairs by robot and team. */
export function selectRobotTeams(
  tx: Tx,
  namespaceId: number,
  limit: number,
): Promise<{ accountId: number; name: string }[]> {
  return tx.all(sql`
    select a.id as "accountId", t.name
      from account a join team_member m on m.account_id = a.id join team t on t.id = m.team_id
     where a.kind = 'robot' and a.namespace_id = ${namespaceId}
     order by a.id, t.name
     limit ${limit}`)
}

/** Repositories that grant robot accounts of a namespace something, as pairs by robot and repository. */
export function selectRobotRepositories(
  tx: Tx,
  namespaceId: number,
  limit: number,
): Promise<{ accountId: number; name: string }[]> {
  return tx.all(sql`
    select a.id as "accountId", r.name
      from account a
      join repository_grant g on g.account_id = a.id
      join repository r on r.id = g.repository_id and r.deleted_ms is null
     where a.kind = 'robot' and a.namespace_id = ${namespaceId}
     order by a.id, r.name
     limit ${limit}`)
}

export interface RobotGrantRow {
  readonly repository: string
  readonly visibility: 'public' | 'private'
  readonly role: 'read' | 'write' | 'admin'
}

export function selectRobotGrants(tx: Tx, accountId: number, limit: number): Promise<RobotGrantRow[]> {
  return tx.all(sql`
    select r.name as repository, r.visibility, g.role
      from repository_grant g join repository r on r.id = g.repository_id and r.deleted_ms is null
     where g.account_id = ${accountId}
     order by r.name
     limit ${limit}`)
}
