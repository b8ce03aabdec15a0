import { createHash, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { type Doing, type EventKind, type Metadata, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  insertServiceKey,
  removeServiceKey,
  type ServiceKeyRow,
  selectServiceKey,
  selectServiceKeys,
  updateApproval,
  updateServiceKey,
} from './service-keys.sql.ts'

/** A public key that another service signs its calls with; it counts when a superuser has approved it. */
export type ServiceKey = ServiceKeyRow

const MAX_LIST = 1_000
const MAX_TEXT = 255
const MAX_METADATA_BYTES = 16 * 1024
const BY_SUPERUSER = 'Super User API'

export interface NewKeyPair {
  readonly kid: string
  /** JSON text of the public half. */
  readonly jwk: string
  readonly publicPem: string
  readonly privatePem: string
}

/** An RSA key pair, named by its thumbprint (RFC 7638). The private half is for whoever asked and kept nowhere. */
export async function newKeyPair(): Promise<NewKeyPair> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2_048 })
  const { kty, n, e } = publicKey.export({ format: 'jwk' })
  const kid = createHash('sha256').update(JSON.stringify({ e, kty, n })).digest('hex')
  const pem = (key: KeyObject, type: 'spki' | 'pkcs8') =>
    String(type === 'spki' ? key.export({ type, format: 'pem' }) : key.export({ type, format: 'pem' }))
  return {
    kid,
    jwk: JSON.stringify({ kty, n, e, kid }),
    publicPem: pem(publicKey, 'spki'),
    privatePem: pem(privateKey, 'pkcs8'),
  }
}

interface Change {
  readonly kid: string
  /** Of the superuser: keys belong to no namespace, and their entries have to stand somewhere. */
  readonly namespaceId: number
  readonly doing: Doing
}

/** Every key, oldest first; at most 1,000. */
export function listServiceKeys(tx: Tx): Promise<ServiceKey[]> {
  return selectServiceKeys(tx, MAX_LIST)
}

export function findServiceKey(tx: Tx, input: { kid: string }): Promise<ServiceKey | undefined> {
  return selectServiceKey(tx, input.kid)
}

export interface CreateServiceKey extends Change {
  readonly name: string
  readonly service: string
  readonly jwk: string
  /** JSON text of an object. */
  readonly metadata: string
  readonly expiresMs: number | null
  readonly notes: string
}

/** Keeps a key that a superuser has made, which approves it. @throws DomainError INVALID_REQUEST */
export async function createServiceKey(tx: Tx, input: CreateServiceKey): Promise<void> {
  const { kid, name, service, jwk, metadata, expiresMs, notes, doing } = input
  checkName(name)
  checkMetadata(metadata)
  checkExpiry(expiresMs, doing.nowMs)
  if (service.trim() === '' || service.length > MAX_TEXT || notes.length > 4_096)
    throw refuse('INVALID_REQUEST', {}, `A service is named in 1 to ${MAX_TEXT} characters.`)
  await insertServiceKey(tx, { kid, name, service, jwk, metadata, createdMs: doing.nowMs, expiresMs })
  await updateApproval(tx, kid, { approver: doing.actor.name, notes, type: BY_SUPERUSER, nowMs: doing.nowMs })
  const what = { kid, service, name, expiration_date: dateOf(expiresMs) }
  await log(tx, input, 'service_key_create', { ...what, preshared: true, auto_approved: true })
  await log(tx, input, 'service_key_approve', what)
}

/** Changes what is given; what is absent stays. @throws DomainError NOT_FOUND, INVALID_REQUEST */
export async function changeServiceKey(
  tx: Tx,
  input: Change & { name?: string; metadata?: string; expiresMs?: number | null },
): Promise<ServiceKey> {
  const before = await get(tx, input.kid)
  const { name = before.name, metadata = before.metadata, doing } = input
  const expiresMs = input.expiresMs === undefined ? before.expiresMs : input.expiresMs
  checkName(name)
  checkMetadata(metadata)
  if (input.expiresMs !== undefined) checkExpiry(expiresMs, doing.nowMs)
  await updateServiceKey(tx, input.kid, { name, metadata, expiresMs })
  const what = { kid: input.kid, service: before.service, name, expiration_date: dateOf(expiresMs) }
  if (expiresMs !== before.expiresMs)
    await log(tx, input, 'service_key_extend', { ...what, old_expiration_date: dateOf(before.expiresMs) })
  if (name !== before.name || metadata !== before.metadata) await log(tx, input, 'service_key_modify', what)
  return { ...before, name, metadata, expiresMs }
}

/** Lets a key count. One that does already stays as it is. @throws DomainError NOT_FOUND */
export async function approveServiceKey(tx: Tx, input: Change & { notes: string }): Promise<void> {
  const { kid, notes, doing } = input
  const before = await get(tx, kid)
  if (before.approvedMs !== null) return
  await updateApproval(tx, kid, { approver: doing.actor.name, notes, type: BY_SUPERUSER, nowMs: doing.nowMs })
  const { service, name, expiresMs } = before
  await log(tx, input, 'service_key_approve', { kid, service, name, expiration_date: dateOf(expiresMs) })
}

/** @throws DomainError NOT_FOUND */
export async function deleteServiceKey(tx: Tx, input: Change): Promise<void> {
  const { service, name, createdMs, expiresMs } = await get(tx, input.kid)
  await removeServiceKey(tx, input.kid)
  const dates = { created_date: dateOf(createdMs), expiration_date: dateOf(expiresMs) }
  await log(tx, input, 'service_key_delete', { kid: input.kid, service, name, ...dates })
}

async function get(tx: Tx, kid: string): Promise<ServiceKey> {
  const row = await selectServiceKey(tx, kid)
  if (row === undefined) throw refuse('NOT_FOUND')
  return row
}

function checkName(name: string): void {
  if (name.length <= MAX_TEXT && /^[\s a-zA-Z0-9\-_:/]*$/.test(name)) return
  const signs = 'letters, digits, spaces and - _ : /'
  throw refuse('INVALID_REQUEST', {}, `A key is named with ${signs}, at most ${MAX_TEXT} of them.`)
}

function checkMetadata(metadata: string): void {
  if (Buffer.byteLength(metadata) > MAX_METADATA_BYTES)
    throw refuse('INVALID_REQUEST', {}, `The metadata have at most ${MAX_METADATA_BYTES} bytes as JSON.`)
}

function checkExpiry(expiresMs: number | null, nowMs: number): void {
  if (expiresMs !== null && (!Number.isSafeInteger(expiresMs) || expiresMs <= nowMs))
    throw refuse('INVALID_REQUEST', {}, 'The expiration is a time to come, in Unix seconds, or null.')
}

function dateOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

async function log(tx: Tx, { namespaceId, doing }: Change, kind: EventKind, metadata: Metadata): Promise<void> {
  const { actor, address, nowMs } = doing
  await recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
