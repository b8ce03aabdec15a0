import type { Migration } from '../migration.ts'

/**
 * The first schema. Content is immutable and names move: a tag is an interval of time over a manifest. Rows that protect
 * bytes reference them with RESTRICT, so the database itself refuses to lose what is still named.
 */
export const core: Migration = {
  id: 1,
  name: 'core',
  up({ name: database, type: t }) {
    const table = (name: string, columns: readonly string[]) =>
      `create table ${name} (\n  ${columns.join(',\n  ')}\n) ${t.strict}`
    return [
      ...(database === 'postgres' ? ['create collation if not exists "binary" from "C"'] : []),

      // Facts about the installation, such as the one-time setup secret and the heartbeat.
      table('fact', [`name ${t.text} primary key`, `value ${t.text} not null`, `changed_ms ${t.int} not null`]),

      table('signing_key', [
        `kid ${t.text} primary key`,
        `algorithm ${t.text} not null`,
        `private_sealed ${t.bytes} not null`,
        `public_jwk ${t.text} not null`,
        `created_ms ${t.int} not null`,
        `retires_ms ${t.int} not null`,
        `expires_ms ${t.int} not null`,
      ]),

      table('namespace', [
        `id ${t.id}`,
        `name ${t.text} not null unique`,
        `kind ${t.text} not null check (kind in ('user', 'organization'))`,
        `state ${t.text} not null check (state in ('active', 'disabled', 'deleted'))`,
        // Null: the default of the installation.
        `tag_window_ms ${t.int}`,
        `created_ms ${t.int} not null`,
      ]),

      table('account', [
        `id ${t.id}`,
        `kind ${t.text} not null check (kind in ('user', 'robot'))`,
        `name ${t.text} not null unique`,
        // A user's own namespace; the owner of a robot account.
        `namespace_id ${t.int} not null references namespace (id)`,
        `email ${t.text}`,
        `email_key ${t.text} unique`,
        `password_hash ${t.text}`,
        `enabled ${t.bool} not null`,
        // Tokens carry it; raising it ends every token issued before.
        `token_epoch ${t.int} not null`,
        `created_ms ${t.int} not null`,
      ]),

      // Every organization has a team of owners; more teams and their repositories come on top of it.
      table('team', [
        `id ${t.id}`,
        `namespace_id ${t.int} not null references namespace (id)`,
        `name ${t.text} not null`,
        `role ${t.text} not null check (role in ('admin', 'creator', 'member'))`,
        'unique (namespace_id, name)',
      ]),
      table('team_member', [
        `team_id ${t.int} not null references team (id)`,
        `account_id ${t.int} not null references account (id)`,
        `source ${t.text} not null check (source in ('manual', 'synced'))`,
        'primary key (account_id, team_id)',
      ]),
      'create index team_member_team on team_member (team_id)',

      table('repository', [
        `id ${t.id}`,
        `namespace_id ${t.int} not null references namespace (id)`,
        `name ${t.text} not null`,
        `visibility ${t.text} not null check (visibility in ('public', 'private'))`,
        `state ${t.text} not null check (state in ('NORMAL', 'READ_ONLY', 'MIRROR'))`,
        `description ${t.text} not null`,
        `created_ms ${t.int} not null`,
        `deleted_ms ${t.int}`,
      ]),
      'create unique index repository_name on repository (namespace_id, name) where deleted_ms is null',
      "create index repository_public on repository (namespace_id, name) where deleted_ms is null and visibility = 'public'",

      table('repository_grant', [
        `account_id ${t.int} not null references account (id)`,
        `repository_id ${t.int} not null references repository (id)`,
        `role ${t.text} not null check (role in ('read', 'write', 'admin'))`,
        'primary key (account_id, repository_id)',
      ]),
      'create index repository_grant_repository on repository_grant (repository_id)',

      // When the rights of a subject (s:), namespace (n:) or repository (r:) last changed; other processes poll it.
      table('rights_epoch', [`scope ${t.text} primary key`, `value ${t.int} not null`, `changed_ms ${t.int} not null`]),
      'create index rights_epoch_changed on rights_epoch (changed_ms)',

      table('login_backoff', [
        `key ${t.text} primary key`,
        `failures ${t.int} not null`,
        `until_ms ${t.int} not null`,
        `updated_ms ${t.int} not null`,
      ]),
      'create index login_backoff_updated on login_backoff (updated_ms)',

      table('blob', [
        `id ${t.id}`,
        `digest ${t.text} not null`,
        `size_bytes ${t.int} not null`,
        `state ${t.text} not null check (state in ('live', 'condemned', 'deleting'))`,
        `condemned_ms ${t.int}`,
      ]),
      // A blob that is being deleted cannot be revived; a new row with the same digest may stand beside it.
      "create unique index blob_digest on blob (digest) where state <> 'deleting'",
      "create index blob_condemned on blob (condemned_ms) where state <> 'live'",

      table('blob_copy', [
        `blob_id ${t.int} not null references blob (id)`,
        `location ${t.text} not null`,
        `key ${t.text} not null`,
        `state ${t.text} not null check (state in ('present', 'missing', 'damaged'))`,
        'primary key (location, key)',
      ]),
      'create index blob_copy_blob on blob_copy (blob_id)',

      // The only thing that makes a blob readable in a repository. The lease is also the collector's queue: a link is
      // looked at when it runs out, and an unset lease means that an edge holds the link.
      table('repository_blob', [
        `repository_id ${t.int} not null references repository (id)`,
        `blob_id ${t.int} not null references blob (id)`,
        `leased_until_ms ${t.int}`,
        'primary key (repository_id, blob_id)',
      ]),
      'create index repository_blob_blob on repository_blob (blob_id)',
      'create index repository_blob_lease on repository_blob (leased_until_ms) where leased_until_ms is not null',

      table('upload', [
        `id ${t.text} primary key`,
        `repository_id ${t.int} not null references repository (id)`,
        `subject ${t.text} not null`,
        `state ${t.text} not null check (state in ('open', 'finished', 'cancelled', 'expired'))`,
        `location ${t.text} not null`,
        `key ${t.text} not null unique`,
        `offset_bytes ${t.int} not null`,
        `writer_state ${t.text}`,
        `claim ${t.text}`,
        `claimed_until_ms ${t.int} not null`,
        // 1 while an object of this upload may lie in the store that no blob has taken over.
        `residue ${t.bool} not null`,
        `issued_ms ${t.int} not null`,
        `updated_ms ${t.int} not null`,
      ]),
      'create index upload_updated on upload (updated_ms)',
      "create index upload_residue on upload (updated_ms) where residue = 1 and state <> 'open'",

      table('manifest', [
        `id ${t.id}`,
        `repository_id ${t.int} not null references repository (id)`,
        `digest ${t.text} not null`,
        `media_type ${t.text} not null`,
        `artifact_type ${t.text}`,
        `subject_digest ${t.text}`,
        `annotations ${t.text}`,
        `size_bytes ${t.int} not null`,
        `content ${t.bytes} not null`,
        `created_ms ${t.int} not null`,
        // Set while nothing is served by this digest any more but the time machine may bring it back.
        `deleted_ms ${t.int}`,
        // As for links: the collector looks when it runs out, unset means that something held it at the last look.
        `leased_until_ms ${t.int}`,
      ]),
      'create unique index manifest_digest on manifest (repository_id, digest)',
      'create index manifest_subject on manifest (repository_id, subject_digest, id) where subject_digest is not null',
      'create index manifest_lease on manifest (leased_until_ms) where leased_until_ms is not null',

      table('manifest_edge', [
        `manifest_id ${t.int} not null references manifest (id)`,
        `position ${t.int} not null`,
        `repository_id ${t.int} not null references repository (id)`,
        `role ${t.text} not null check (role in ('config', 'layer', 'child'))`,
        `digest ${t.text} not null`,
        `media_type ${t.text} not null`,
        `size_bytes ${t.int} not null`,
        // Both null: declared but not here (a foreign layer, a child of a sparse index).
        `blob_id ${t.int}`,
        `child_id ${t.int} references manifest (id)`,
        'primary key (manifest_id, position)',
        'foreign key (repository_id, blob_id) references repository_blob (repository_id, blob_id)',
      ]),
      'create index manifest_edge_blob on manifest_edge (repository_id, blob_id) where blob_id is not null',
      'create index manifest_edge_child on manifest_edge (child_id) where child_id is not null',
      "create index manifest_edge_absent on manifest_edge (repository_id, digest) where role = 'child' and child_id is null",

      table('tag', [
        `id ${t.id}`,
        `namespace_id ${t.int} not null references namespace (id)`,
        `repository_id ${t.int} not null references repository (id)`,
        `name ${t.text} not null`,
        `manifest_id ${t.int} not null references manifest (id)`,
        `start_ms ${t.int} not null`,
        // When the interval will end by itself; end_ms is set only when it has been closed.
        `expires_ms ${t.int}`,
        `end_ms ${t.int}`,
        'check (end_ms is null or end_ms >= start_ms)',
      ]),
      'create unique index tag_open on tag (repository_id, name) where end_ms is null',
      'create index tag_history on tag (repository_id, name, id)',
      'create index tag_manifest on tag (manifest_id)',
      'create index tag_ended on tag (namespace_id, end_ms) where end_ms is not null',
      'create index tag_expiring on tag (expires_ms) where end_ms is null and expires_ms is not null',

      table('audit_entry', [
        `id ${t.id}`,
        `kind ${t.text} not null`,
        `namespace_id ${t.int}`,
        `repository_id ${t.int}`,
        `account_id ${t.int}`,
        `performer ${t.text} not null`,
        `address ${t.text} not null`,
        `occurred_ms ${t.int} not null`,
        `metadata ${t.text} not null`,
      ]),
      'create index audit_entry_namespace on audit_entry (namespace_id, id)',
      'create index audit_entry_repository on audit_entry (repository_id, id)',

      // How far each spool file of pull events has been taken over; written with the rows, so a restart repeats nothing.
      table('spool_position', [
        `spool ${t.text} primary key`,
        `position ${t.int} not null`,
        `changed_ms ${t.int} not null`,
      ]),

      table('subscription', [
        `id ${t.id}`,
        `consumer ${t.text} not null`,
        `repository_id ${t.int} references repository (id)`,
        `kind ${t.text} not null`,
        `ordered ${t.bool} not null`,
      ]),
      // One per consumer, kind and repository; without a repository it is for all of them.
      'create unique index subscription_target on subscription (consumer, kind, coalesce(repository_id, 0))',
      'create index subscription_kind on subscription (kind, repository_id)',
      'create index subscription_repository on subscription (repository_id) where repository_id is not null',

      table('outbox', [
        `id ${t.id}`,
        `subscription_id ${t.int} not null references subscription (id)`,
        `consumer ${t.text} not null`,
        `kind ${t.text} not null`,
        `payload ${t.text} not null`,
        // Set where the consumer wants the events of one repository in order.
        `order_key ${t.text}`,
        // 1 while an earlier event of the same consumer and key is alive. Kept, not computed: a claim must not walk a backlog.
        `blocked ${t.bool} not null`,
        `created_ms ${t.int} not null`,
        `due_ms ${t.int} not null`,
        `attempts ${t.int} not null`,
        `fence ${t.int} not null`,
        `claimed_until_ms ${t.int} not null`,
        `dead_ms ${t.int}`,
        `last_error ${t.text}`,
      ]),
      'create index outbox_due on outbox (consumer, due_ms, id) where dead_ms is null and blocked = 0',
      'create index outbox_order on outbox (consumer, order_key, id) where dead_ms is null and order_key is not null',
      'create index outbox_dead on outbox (consumer, id) where dead_ms is not null',
      'create index outbox_subscription on outbox (subscription_id, id)',

      table('job', [
        `id ${t.id}`,
        `name ${t.text} not null`,
        `payload ${t.text} not null`,
        `priority ${t.int} not null`,
        `order_key ${t.text}`,
        // As in outbox: 1 while an earlier job of the same name and order key is alive.
        `blocked ${t.bool} not null`,
        `dedupe_key ${t.text}`,
        // 1 when the same work was asked for again while it was being done: it then runs once more.
        `again ${t.bool} not null`,
        `created_ms ${t.int} not null`,
        `due_ms ${t.int} not null`,
        `attempts ${t.int} not null`,
        `max_attempts ${t.int} not null`,
        `fence ${t.int} not null`,
        `claimed_by ${t.text}`,
        `claimed_until_ms ${t.int} not null`,
        `dead_ms ${t.int}`,
        `last_error ${t.text}`,
      ]),
      'create index job_due on job (name, priority, due_ms, id) where dead_ms is null and blocked = 0',
      'create index job_order on job (name, order_key, id) where dead_ms is null and order_key is not null',
      'create unique index job_dedupe on job (name, dedupe_key) where dedupe_key is not null and dead_ms is null',
      'create index job_dead on job (id) where dead_ms is not null',

      // Objects that are not blobs: exports, archives. Removed by their expiry.
      table('stored_object', [
        `id ${t.id}`,
        `location ${t.text} not null`,
        `key ${t.text} not null unique`,
        `kind ${t.text} not null`,
        `size_bytes ${t.int} not null`,
        `expires_ms ${t.int} not null`,
        // A worker is deleting its bytes until then; one that could not be deleted is tried again after it.
        `claimed_until_ms ${t.int} not null`,
      ]),
      'create index stored_object_expires on stored_object (expires_ms)',
    ]
  },
}
