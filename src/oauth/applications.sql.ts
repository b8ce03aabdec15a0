import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface ApplicationRow {
  readonly id: number
  readonly clientId: string
  readonly secretSealed: Uint8Array
  readonly namespaceId: number
  readonly name: string
  readonly description: string
  readonly applicationUri: string
  readonly redirectUri: string
  readonly avatarEmail: string | null
}

const columns = sql`p.id, p.client_id as "clientId", p.secret_sealed as "secretSealed",
           p.namespace_id as "namespaceId", p.name, p.description, p.application_uri as "applicationUri",
           p.redirect_uri as "redirectUri", p.avatar_email as "avatarEmail"`

export interface ApplicationTexts {
  readonly name: string
  readonly description: string
  readonly applicationUri: string
  readonly redirectUri: string
  readonly avatarEmail: string | null
}

export async function insertApplication(
  tx: Tx,
  row: ApplicationTexts & { clientId: string; secretSealed: Uint8Array; namespaceId: number; nowMs: number },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into oauth_application (client_id, secret_sealed, namespace_id, name, description, application_uri,
                                   redirect_uri, avatar_email, created_ms)
    values (${row.clientId}, ${row.secretSealed}, ${row.namespaceId}, ${row.name}, ${row.description},
            ${row.applicationUri}, ${row.redirectUri}, ${row.avatarEmail}, ${row.nowMs})
    returning id`)
}

export function selectApplication(tx: Tx, namespaceId: number, clientId: string): Promise<ApplicationRow | undefined> {
  return tx.first(sql`
    select ${columns} from oauth_application p where p.client_id = ${clientId} and p.namespace_id = ${namespaceId}`)
}

/** Held against every grant to it, until the transaction ends. */
export function lockApplication(tx: Tx, namespaceId: number, clientId: string): Promise<ApplicationRow | undefined> {
  return tx.first(sql`
    select ${columns} from oauth_application p
     where p.client_id = ${clientId} and p.namespace_id = ${namespaceId} ${tx.dialect.forUpdate()}`)
}

export interface HeldApplicationRow {
  readonly id: number
  readonly clientId: string
  readonly name: string
}

/** Held against its deletion. Undefined when it is gone, or its organization is not active. */
export function holdApplication(tx: Tx, id: number): Promise<HeldApplicationRow | undefined> {
  return tx.first(sql`
    select p.id, p.client_id as "clientId", p.name
      from oauth_application p join namespace n on n.id = p.namespace_id and n.state = 'active'
     where p.id = ${id} ${tx.dialect.forKeyShare('p')}`)
}

export function selectApplications(tx: Tx, namespaceId: number, limit: number): Promise<ApplicationRow[]> {
  return tx.all(sql`
    select ${columns} from oauth_application p where p.namespace_id = ${namespaceId} order by p.id limit ${limit}`)
}

export interface OwnedApplicationRow extends ApplicationRow {
  readonly organization: string
  readonly organizationEmail: string | null
  readonly organizationKind: 'user' | 'organization'
}

/** Of a namespace that is active. */
export function selectOwnedApplication(tx: Tx, clientId: string): Promise<OwnedApplicationRow | undefined> {
  return tx.first(sql`
    select ${columns}, n.name as organization, n.email as "organizationEmail", n.kind as "organizationKind"
      from oauth_application p join namespace n on n.id = p.namespace_id and n.state = 'active'
     where p.client_id = ${clientId}`)
}

export async function updateApplication(tx: Tx, id: number, row: ApplicationTexts): Promise<void> {
  await tx.run(sql`
    update oauth_application
       set name = ${row.name}, description = ${row.description}, application_uri = ${row.applicationUri},
           redirect_uri = ${row.redirectUri}, avatar_email = ${row.avatarEmail}
     where id = ${id}`)
}

export async function updateApplicationSecret(tx: Tx, id: number, secretSealed: Uint8Array): Promise<void> {
  await tx.run(sql`update oauth_application set secret_sealed = ${secretSealed} where id = ${id}`)
}

/** Accounts whose tokens of an application end with it. */
export function selectTokenHolders(tx: Tx, applicationId: number): Promise<{ accountId: number }[]> {
  return tx.all(sql`
    select distinct account_id as "accountId" from oauth_token where application_id = ${applicationId} limit 100000`)
}

/** The same of every application of a namespace. */
export function selectTokenHoldersOf(tx: Tx, namespaceId: number): Promise<{ accountId: number }[]> {
  return tx.all(sql`
    select distinct t.account_id as "accountId"
      from oauth_application p join oauth_token t on t.application_id = p.id
     where p.namespace_id = ${namespaceId}
     limit 100000`)
}

export async function removeApplication(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`delete from oauth_code where application_id = ${id}`)
  await tx.run(sql`
    delete from notice where about in (select 'oauth_assignment:' || uuid from oauth_assignment where application_id = ${id})`)
  await tx.run(sql`delete from oauth_assignment where application_id = ${id}`)
  await tx.run(sql`delete from oauth_token where application_id = ${id}`)
  await tx.run(sql`delete from oauth_application where id = ${id}`)
}
