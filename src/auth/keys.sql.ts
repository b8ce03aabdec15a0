import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface SigningKeyRow {
  readonly kid: string
  readonly algorithm: string
  readonly privateSealed: Uint8Array
  /** JSON text. */
  readonly publicJwk: string
  readonly createdMs: number
  /** From here on it signs nothing. */
  readonly retiresMs: number
  /** From here on what it signed is refused, and the row may go. */
  readonly expiresMs: number
}

/** Few rows: one for each rotation whose tokens may still be about. Newest first. */
export function selectLiveKeys(tx: Tx, nowMs: number): Promise<SigningKeyRow[]> {
  return tx.all(sql`
    select kid, algorithm, private_sealed as "privateSealed", public_jwk as "publicJwk", created_ms as "createdMs",
           retires_ms as "retiresMs", expires_ms as "expiresMs"
      from signing_key where expires_ms > ${nowMs} order by created_ms desc, kid`)
}

export function selectYoungKey(tx: Tx, algorithm: string, createdAfterMs: number, nowMs: number) {
  return tx.first<{ kid: string }>(sql`
    select kid from signing_key
     where algorithm = ${algorithm} and created_ms > ${createdAfterMs} and retires_ms > ${nowMs} limit 1`)
}

export async function insertSigningKey(tx: Tx, row: SigningKeyRow): Promise<void> {
  await tx.run(sql`
    insert into signing_key (kid, algorithm, private_sealed, public_jwk, created_ms, retires_ms, expires_ms)
    values (${row.kid}, ${row.algorithm}, ${row.privateSealed}, ${row.publicJwk}, ${row.createdMs}, ${row.retiresMs},
            ${row.expiresMs})`)
}

export async function removeExpiredKeys(tx: Tx, nowMs: number): Promise<void> {
  await tx.run(sql`delete from signing_key where expires_ms <= ${nowMs}`)
}
