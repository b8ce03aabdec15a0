import { hash, randomBytes } from 'node:crypto'
import type { Tx } from '../db/db.ts'
import {
  insertSession,
  removeExpiredSessions,
  removeSession,
  removeSessionsOf,
  selectSession,
  updateSessionSeen,
} from './sessions.sql.ts'

/** A browser that has signed in, and who it belongs to. */
export interface Session {
  readonly accountId: number
  readonly name: string
  readonly namespaceId: number
  readonly tokenEpoch: number
  /** False: there is no password that could be asked for again. */
  readonly hasPassword: boolean
  /** When the password was given for the last time. */
  readonly loginMs: number
  readonly seenMs: number
}

/** What goes into the cookie: 256 random bits. Only its hash is stored. */
export function newSessionSecret(): string {
  return randomBytes(32).toString('base64url')
}

export function sessionIdOf(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/**
 * The session of this id, undefined when it is over: by time, by a new password, because its account is disabled or gone,
 * or because nobody has used it for `idleMs`.
 */
export async function findSession(
  tx: Tx,
  input: { id: string; nowMs: number; idleMs: number },
): Promise<Session | undefined> {
  const row = await selectSession(tx, input.id)
  if (row === undefined || row.enabled !== 1 || row.sessionEpoch !== row.tokenEpoch) return undefined
  if (row.expiresMs <= input.nowMs || row.seenMs + input.idleMs <= input.nowMs) return undefined
  const { accountId, name, namespaceId, tokenEpoch, loginMs, seenMs } = row
  return { accountId, name, namespaceId, tokenEpoch, hasPassword: row.hasPassword === 1, loginMs, seenMs }
}

export interface OpenSession {
  readonly id: string
  readonly accountId: number
  readonly nowMs: number
  readonly expiresMs: number
  /** The session that this one replaces: an id never outlives a change of what it stands for. */
  readonly replaces?: string
}

/** Begins a session under the account's epoch of now. */
export async function openSession(tx: Tx, input: OpenSession): Promise<void> {
  if (input.replaces !== undefined) await removeSession(tx, input.replaces)
  await insertSession(tx, input)
}

/** Remembers that a session is in use. */
export async function touchSession(tx: Tx, input: { id: string; nowMs: number }): Promise<void> {
  await updateSessionSeen(tx, input.id, input.nowMs)
}

/** Signs every browser of an account out. */
export async function endSessions(tx: Tx, input: { accountId: number }): Promise<void> {
  await removeSessionsOf(tx, input.accountId)
}

/** Removes sessions that are over, a few at a time. Returns how many. */
export function purgeSessions(tx: Tx, input: { nowMs: number; limit: number }): Promise<number> {
  return removeExpiredSessions(tx, input.nowMs, input.limit)
}
