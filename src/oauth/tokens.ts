import { hash } from 'node:crypto'
import type { Tx } from '../db/db.ts'
import { selectUsableToken, type UsableTokenRow, updateTokenAccessed } from './tokens.sql.ts'

export type UsableToken = UsableTokenRow

/** Access tokens are 40 random letters and digits: a plain hash cannot be turned around. */
export function hashTokenSecret(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/** The token and who granted it, undefined unless it can be used now. */
export function findUsableToken(
  tx: Tx,
  input: { secretHash: string; nowMs: number },
): Promise<UsableToken | undefined> {
  return selectUsableToken(tx, input.secretHash, input.nowMs)
}

/** Remembers that a token was used. Nobody needs that to the second: call it rarely. */
export async function touchToken(tx: Tx, input: { tokenId: number; nowMs: number }): Promise<void> {
  await updateTokenAccessed(tx, input.tokenId, input.nowMs)
}
