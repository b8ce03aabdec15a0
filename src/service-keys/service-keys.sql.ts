import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface ServiceKeyRow {
  readonly kid: string
  readonly name: string
  readonly service: string
  /** JSON text of the public key. */
  readonly jwk: string
  /** JSON text. */
  readonly metadata: string
  readonly createdMs: number
  readonly expiresMs: number | null
  readonly rotationMs: number | null
  readonly approvedMs: number | null
  readonly approvalType: string | null
  readonly approver: string | null
  readonly approvalNotes: string
}

const columns = sql`kid, name, service, jwk, metadata, created_ms as "createdMs", expires_ms as "expiresMs",
           rotation_ms as "rotationMs", approved_ms as "approvedMs", approval_type as "approvalType", approver,
           approval_notes as "approvalNotes"`

export async function insertServiceKey(
  tx: Tx,
  row: Pick<ServiceKeyRow, 'kid' | 'name' | 'service' | 'jwk' | 'metadata' | 'createdMs' | 'expiresMs'>,
): Promise<void> {
  await tx.run(sql`
    insert into service_key (kid, name, service, jwk, metadata, created_ms, expires_ms, approval_notes)
    values (${row.kid}, ${row.name}, ${row.service}, ${row.jwk}, ${row.metadata}, ${row.createdMs}, ${row.expiresMs}, '')`)
}

export function selectServiceKeys(tx: Tx, limit: number): Promise<ServiceKeyRow[]> {
  return tx.all(sql`select ${columns} from service_key order by id limit ${limit}`)
}

export function selectServiceKey(tx: Tx, kid: string): Promise<ServiceKeyRow | undefined> {
  return tx.first(sql`select ${columns} from service_key where kid = ${kid}`)
}

export async function updateServiceKey(
  tx: Tx,
  kid: string,
  row: Pick<ServiceKeyRow, 'name' | 'metadata' | 'expiresMs'>,
): Promise<void> {
  await tx.run(sql`
    update service_key set name = ${row.name}, metadata = ${row.metadata}, expires_ms = ${row.expiresMs}
     where kid = ${kid}`)
}

export async function updateApproval(
  tx: Tx,
  kid: string,
  row: { approver: string; notes: string; type: string; nowMs: number },
): Promise<void> {
  await tx.run(sql`
    update service_key
       set approved_ms = ${row.nowMs}, approval_type = ${row.type}, approver = ${row.approver},
           approval_notes = ${row.notes}
     where kid = ${kid} and approved_ms is null`)
}

export function removeServiceKey(tx: Tx, kid: string): Promise<number> {
  return tx.run(sql`delete from service_key where kid = ${kid}`)
}
