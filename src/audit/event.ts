import { storableText } from '../platform/text.ts'

/** Quay's names where it has one, so that what reads its logs reads ours. New kinds are added here. */
export type EventKind =
  | 'push_repo'
  | 'pull_repo'
  | 'create_tag'
  | 'move_tag'
  | 'delete_tag'
  | 'revert_tag'
  | 'change_tag_expiration'
  | 'permanently_delete_tag'
  | 'expire_tag'
  | 'delete_manifest'
  | 'delete_blob'
  | 'create_repo'
  | 'delete_repo'
  | 'change_repo_visibility'
  | 'change_repo_state'
  | 'change_repo_permission'
  | 'delete_repo_permission'
  | 'set_repo_description'
  | 'create_namespace'
  | 'org_create'
  | 'org_delete'
  | 'user_create'
  | 'user_delete'
  | 'user_disable'
  | 'user_enable'
  | 'user_change_password'
  | 'login_success'
  | 'login_failure'
  | 'logout_success'

/** Who did it. The name is kept as it was at that time, also when the account goes. */
export interface Actor {
  readonly kind: 'anonymous' | 'user' | 'robot' | 'system'
  readonly accountId?: number
  readonly name: string
}

export type Metadata = Readonly<Record<string, string | number | boolean | null>>

export interface AuditEvent {
  readonly kind: EventKind
  /** Null for what belongs to no namespace, such as the login of an unknown name. */
  readonly namespaceId: number | null
  readonly repositoryId?: number
  readonly actor: Actor
  /** Address of the client. */
  readonly address: string
  readonly occurredMs: number
  readonly metadata: Metadata
}

/** An event as it is stored: bounded, and fit for every text column. */
export interface EventRow {
  readonly kind: string
  readonly namespaceId: number | null
  readonly repositoryId: number | null
  readonly accountId: number | null
  readonly actorKind: string
  readonly performer: string
  readonly address: string
  readonly occurredMs: number
  /** JSON text. */
  readonly metadata: string
}

const NAME_CHARACTERS = 512
const ADDRESS_CHARACTERS = 128
/** Of the metadata of one event, in UTF-8. */
export const METADATA_BYTES = 4_096

/** Bounds what a client may have sent and makes it storable. */
export function toEventRow(event: AuditEvent): EventRow {
  return {
    kind: event.kind,
    namespaceId: event.namespaceId,
    repositoryId: event.repositoryId ?? null,
    accountId: event.actor.accountId ?? null,
    actorKind: event.actor.kind,
    performer: storableText(event.actor.name, NAME_CHARACTERS),
    address: storableText(event.address, ADDRESS_CHARACTERS),
    occurredMs: Math.trunc(event.occurredMs),
    metadata: boundedJson(event.metadata),
  }
}

/** JSON of at most METADATA_BYTES. Long strings are cut to the same length, as long as that can be; then fields go. */
function boundedJson(metadata: Metadata): string {
  const whole = JSON.stringify(metadata)
  // A UTF-16 unit takes three bytes at most, so nearly every event is done here.
  if (whole.length * 3 <= METADATA_BYTES || Buffer.byteLength(whole) <= METADATA_BYTES) return whole
  for (let maxCharacters = METADATA_BYTES; maxCharacters >= 16; maxCharacters /= 2) {
    const json = JSON.stringify(metadata, (_key, value) => cut(value, maxCharacters))
    if (Buffer.byteLength(json) <= METADATA_BYTES) return json
  }
  const kept: Record<string, Metadata[string]> = {}
  for (const [key, value] of Object.entries(metadata)) {
    kept[key] = cut(value, 16)
    if (Buffer.byteLength(JSON.stringify(kept)) > METADATA_BYTES) delete kept[key]
  }
  return JSON.stringify(kept)
}

function cut<T>(value: T, maxCharacters: number): T | string {
  return typeof value === 'string' && value.length > maxCharacters ? `${value.slice(0, maxCharacters - 1)}…` : value
}

/** One line of a spool file. JSON keeps line breaks and control characters out of it. */
export function toSpoolLine(row: EventRow): string {
  return `${JSON.stringify([row.kind, row.namespaceId, row.repositoryId, row.accountId, row.actorKind, row.performer, row.address, row.occurredMs, row.metadata])}\n`
}

/** Undefined for a line that is torn or damaged: whatever this returns can be inserted. */
export function parseSpoolLine(line: string): EventRow | undefined {
  let fields: unknown
  try {
    fields = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!Array.isArray(fields) || fields.length !== 9) return undefined
  const [kind, namespaceId, repositoryId, accountId, actorKind, performer, address, occurredMs, metadata] = fields
  if (!isId(namespaceId) || !isId(repositoryId) || !isId(accountId) || !Number.isSafeInteger(occurredMs))
    return undefined
  const texts: unknown[] = [kind, actorKind, performer, address, metadata]
  if (!texts.every((text) => typeof text === 'string' && text.isWellFormed() && !text.includes('\0'))) return undefined
  return { kind, namespaceId, repositoryId, accountId, actorKind, performer, address, occurredMs, metadata }
}

function isId(value: unknown): value is number | null {
  return value === null || Number.isSafeInteger(value)
}
