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
  | 'user_change_email'
  | 'user_change_name'
  | 'user_change_invoicing'
  | 'user_change_tag_expiration'
  | 'user_change_metadata'
  | 'user_generate_client_key'
  | 'account_change_password'
  | 'account_convert'
  | 'create_robot'
  | 'delete_robot'
  | 'regenerate_robot_token'
  | 'org_change_name'
  | 'org_change_email'
  | 'org_change_invoicing'
  | 'org_change_tag_expiration'
  | 'org_create_team'
  | 'org_delete_team'
  | 'org_set_team_description'
  | 'org_set_team_role'
  | 'org_add_team_member'
  | 'org_remove_team_member'
  | 'org_invite_team_member'
  | 'org_delete_team_member_invite'
  | 'org_team_member_invite_accepted'
  | 'org_team_member_invite_declined'
  | 'create_prototype_permission'
  | 'modify_prototype_permission'
  | 'delete_prototype_permission'
  | 'create_application'
  | 'update_application'
  | 'delete_application'
  | 'reset_application_client_secret'
  | 'create_oauth_api_token'
  | 'revoke_oauth_api_token'
  | 'oauth_token_assigned'
  | 'oauth_token_revoked'
  | 'create_app_specific_token'
  | 'revoke_app_specific_token'
  | 'service_key_create'
  | 'service_key_approve'
  | 'service_key_modify'
  | 'service_key_extend'
  | 'service_key_delete'
  | 'take_ownership'
  | 'release_namespace'
  | 'create_global_message'
  | 'delete_global_message'
  | 'login_success'
  | 'login_failure'
  | 'logout_success'

/** Who did it. The name is kept as it was at that time, also when the account goes. */
export interface Actor {
  readonly kind: 'anonymous' | 'user' | 'robot' | 'system'
  readonly accountId?: number
  readonly name: string
  /** Which credential of theirs was used, where that is worth telling: goes into the metadata of what they do. */
  readonly credential?: Readonly<Record<string, string | number>>
}

/** Who does something, from where and when: every change of the domain takes it, and its audit entry tells it. */
export interface Doing {
  readonly actor: Actor
  /** Of the client. */
  readonly address: string
  readonly nowMs: number
}

type Plain = string | number | boolean | null | undefined
/** Values, lists of values and objects of values; what is deeper goes in as JSON text. */
type MetadataValue = Plain | readonly Plain[] | { readonly [key: string]: Plain }
export type Metadata = Readonly<Record<string, MetadataValue>>

/** How Quay's entries about images say who acted; what is known of the credential is added to every entry. */
export function identityKeys({ kind, name }: Actor): Metadata {
  if (kind === 'user') return { username: name }
  return kind === 'robot' ? { username: name, is_robot: true } : {}
}

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
    metadata: boundedJson(event.actor.credential ? { ...event.metadata, ...event.actor.credential } : event.metadata),
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
  const kept: Record<string, MetadataValue> = {}
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
