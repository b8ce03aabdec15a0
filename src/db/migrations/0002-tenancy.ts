import type { Migration } from '../migration.ts'

/** Who owns, shares and administers: organizations, teams, robot accounts, credentials, sessions, and what they see. */
export const tenancy: Migration = {
  id: 2,
  name: 'tenancy',
  up({ type: t }) {
    const table = (name: string, columns: readonly string[]) =>
      `create table ${name} (\n  ${columns.join(',\n  ')}\n) ${t.strict}`
    const column = (name: string, definition: string) => `alter table ${name} add column ${definition}`
    return [
      column('namespace', `email ${t.text}`),
      column('namespace', `invoice_email ${t.bool} not null default 0`),
      column('namespace', `invoice_email_address ${t.text}`),
      // A deleted namespace is hidden at once. Its name is free when the purge is done and the hold has passed.
      column('namespace', `deleted_ms ${t.int}`),
      column('namespace', `purged_ms ${t.int}`),
      column('namespace', `released ${t.bool} not null default 0`),
      "create index namespace_organizations on namespace (name) where kind = 'organization'",
      // Whose mailbox it is, for the recovery of accounts.
      "create index namespace_email on namespace (lower(email)) where kind = 'organization'",
      "create index namespace_deleted on namespace (deleted_ms) where state = 'deleted'",

      column('account', `verified ${t.bool} not null default 1`),
      column('account', `given_name ${t.text}`),
      column('account', `family_name ${t.text}`),
      column('account', `company ${t.text}`),
      column('account', `location ${t.text}`),
      column('account', `last_accessed_ms ${t.int}`),
      // Of a robot account: what it is for, and whatever its owner keeps with it (JSON text).
      column('account', `description ${t.text}`),
      column('account', `metadata ${t.text}`),
      // A robot's token: a hash to compare, and sealed because its owner may look at it again.
      column('account', `secret_hash ${t.text}`),
      column('account', `secret_sealed ${t.bytes}`),
      "create index account_users on account (name) where kind = 'user'",
      // Whoever goes with a namespace that is renamed, converted or deleted.
      'create index account_namespace on account (namespace_id)',
      "create index account_robots on account (namespace_id, name) where kind = 'robot'",

      column('team', `description ${t.text} not null default ''`),
      column('team', `created_ms ${t.int} not null default 0`),

      table('repository_team_grant', [
        `team_id ${t.int} not null references team (id)`,
        `repository_id ${t.int} not null references repository (id)`,
        `role ${t.text} not null check (role in ('read', 'write', 'admin'))`,
        'primary key (repository_id, team_id)',
      ]),
      'create index repository_team_grant_team on repository_team_grant (team_id, repository_id)',

      // That of the repository, which stays: so that nobody looks at grants elsewhere to list those of one namespace.
      `alter table repository_grant add column namespace_id ${t.int} not null default 0`,
      `update repository_grant
          set namespace_id = (select r.namespace_id from repository r where r.id = repository_grant.repository_id)`,
      'create index repository_grant_namespace on repository_grant (account_id, namespace_id, repository_id)',

      // What new repositories of an organization grant by themselves (Quay calls it a prototype).
      table('default_permission', [
        `id ${t.id}`,
        `uuid ${t.text} not null unique`,
        `namespace_id ${t.int} not null references namespace (id)`,
        // Null: whoever creates the repository.
        `creator_id ${t.int} references account (id)`,
        `account_id ${t.int} references account (id)`,
        `team_id ${t.int} references team (id)`,
        `role ${t.text} not null check (role in ('read', 'write', 'admin'))`,
        'check ((account_id is null) <> (team_id is null))',
      ]),
      // One rule for each creator and delegate.
      'create unique index default_permission_target on default_permission (namespace_id, coalesce(creator_id, 0), coalesce(account_id, 0), coalesce(team_id, 0))',
      'create index default_permission_creator on default_permission (creator_id) where creator_id is not null',
      'create index default_permission_account on default_permission (account_id) where account_id is not null',
      'create index default_permission_team on default_permission (team_id) where team_id is not null',

      table('team_invite', [
        `id ${t.id}`,
        `team_id ${t.int} not null references team (id)`,
        // Either somebody who has an account, or whoever owns the address.
        `account_id ${t.int} references account (id)`,
        `email ${t.text}`,
        `email_key ${t.text}`,
        `inviter_id ${t.int} not null references account (id)`,
        // Part of the code in the link, which is made with a secret of the installation and stored nowhere.
        `nonce ${t.text} not null unique`,
        `created_ms ${t.int} not null`,
        'check ((account_id is null) <> (email_key is null))',
      ]),
      'create unique index team_invite_account on team_invite (team_id, account_id) where account_id is not null',
      'create unique index team_invite_email on team_invite (team_id, email_key) where email_key is not null',
      'create index team_invite_team on team_invite (team_id, id)',
      'create index team_invite_of_account on team_invite (account_id) where account_id is not null',
      'create index team_invite_of_email on team_invite (email_key) where email_key is not null',
      'create index team_invite_inviter on team_invite (inviter_id)',

      table('star', [
        `account_id ${t.int} not null references account (id)`,
        `repository_id ${t.int} not null references repository (id)`,
        `created_ms ${t.int} not null`,
        'primary key (account_id, repository_id)',
      ]),
      'create index star_repository on star (repository_id)',

      // A browser that has signed in. The cookie holds a secret; this is its hash.
      table('session', [
        `id ${t.text} primary key`,
        `account_id ${t.int} not null references account (id)`,
        `token_epoch ${t.int} not null`,
        `created_ms ${t.int} not null`,
        // When a password was given for the last time: sensitive calls want that to be fresh.
        `login_ms ${t.int} not null`,
        `seen_ms ${t.int} not null`,
        `expires_ms ${t.int} not null`,
      ]),
      'create index session_account on session (account_id)',
      'create index session_expires on session (expires_ms)',

      table('oauth_application', [
        `id ${t.id}`,
        `client_id ${t.text} not null unique`,
        `secret_sealed ${t.bytes} not null`,
        `namespace_id ${t.int} not null references namespace (id)`,
        `name ${t.text} not null`,
        `description ${t.text} not null`,
        `application_uri ${t.text} not null`,
        `redirect_uri ${t.text} not null`,
        `avatar_email ${t.text}`,
        `created_ms ${t.int} not null`,
      ]),
      'create index oauth_application_namespace on oauth_application (namespace_id, id)',

      table('oauth_token', [
        `id ${t.id}`,
        `uuid ${t.text} not null unique`,
        `application_id ${t.int} not null references oauth_application (id)`,
        `account_id ${t.int} not null references account (id)`,
        // Granted by a person on the consent page, or made for the application by an administrator.
        `origin ${t.text} not null check (origin in ('granted', 'managed'))`,
        `name ${t.text}`,
        `secret_hash ${t.text} not null unique`,
        `scope ${t.text} not null`,
        `created_ms ${t.int} not null`,
        `expires_ms ${t.int} not null`,
        `last_accessed_ms ${t.int}`,
      ]),
      'create index oauth_token_account on oauth_token (account_id, id)',
      'create index oauth_token_application on oauth_token (application_id, id)',
      'create index oauth_token_expires on oauth_token (expires_ms)',

      table('oauth_code', [
        `secret_hash ${t.text} primary key`,
        `application_id ${t.int} not null references oauth_application (id)`,
        `account_id ${t.int} not null references account (id)`,
        `scope ${t.text} not null`,
        `redirect_uri ${t.text} not null`,
        // PKCE: a challenge and how it was made, if the client sent one.
        `challenge ${t.text}`,
        `challenge_method ${t.text}`,
        `expires_ms ${t.int} not null`,
        // What it was exchanged for: a code that comes a second time was stolen, and ends what the first has brought.
        `token_id ${t.int}`,
      ]),
      'create index oauth_code_expires on oauth_code (expires_ms)',
      'create index oauth_code_account on oauth_code (account_id)',
      'create index oauth_code_application on oauth_code (application_id)',

      // An administrator has asked a user to authorise an application.
      table('oauth_assignment', [
        `id ${t.id}`,
        `uuid ${t.text} not null unique`,
        `application_id ${t.int} not null references oauth_application (id)`,
        `account_id ${t.int} not null references account (id)`,
        `redirect_uri ${t.text} not null`,
        `scope ${t.text} not null`,
        `response_type ${t.text} not null`,
        `created_ms ${t.int} not null`,
      ]),
      'create index oauth_assignment_account on oauth_assignment (account_id, id)',
      'create index oauth_assignment_application on oauth_assignment (application_id)',

      // A token that stands in for a user's password in a client.
      table('app_token', [
        `id ${t.id}`,
        `uuid ${t.text} not null unique`,
        `account_id ${t.int} not null references account (id)`,
        `title ${t.text} not null`,
        `secret_hash ${t.text} not null unique`,
        `secret_sealed ${t.bytes} not null`,
        `created_ms ${t.int} not null`,
        `expires_ms ${t.int}`,
        `last_accessed_ms ${t.int}`,
      ]),
      'create index app_token_account on app_token (account_id, id)',
      'create index app_token_expires on app_token (expires_ms) where expires_ms is not null',

      // A code that was sent by mail: to confirm an address, to change it, or to get back into an account.
      table('email_code', [
        `secret_hash ${t.text} primary key`,
        `account_id ${t.int} not null references account (id)`,
        `purpose ${t.text} not null check (purpose in ('confirm', 'change', 'recover'))`,
        `email ${t.text} not null`,
        `expires_ms ${t.int} not null`,
      ]),
      'create index email_code_account on email_code (account_id)',
      'create index email_code_expires on email_code (expires_ms)',

      // What the bell of a user shows.
      table('notice', [
        `id ${t.id}`,
        `uuid ${t.text} not null unique`,
        `account_id ${t.int} not null references account (id)`,
        `kind ${t.text} not null`,
        // Whose business it is, for the links of the page; null for the registry's.
        `namespace_id ${t.int}`,
        // What it was made for, so that it can be withdrawn with it.
        `about ${t.text}`,
        `metadata ${t.text} not null`,
        `created_ms ${t.int} not null`,
        `dismissed ${t.bool} not null`,
      ]),
      'create index notice_account on notice (account_id, id)',
      'create index notice_about on notice (about) where about is not null',

      table('global_message', [
        `id ${t.id}`,
        `uuid ${t.text} not null unique`,
        `content ${t.text} not null`,
        `severity ${t.text} not null check (severity in ('info', 'warning', 'error'))`,
        `media_type ${t.text} not null check (media_type in ('text/plain', 'text/markdown'))`,
        `created_ms ${t.int} not null`,
      ]),

      table('service_key', [
        `id ${t.id}`,
        `kid ${t.text} not null unique`,
        `name ${t.text} not null`,
        `service ${t.text} not null`,
        `jwk ${t.text} not null`,
        `metadata ${t.text} not null`,
        `created_ms ${t.int} not null`,
        `expires_ms ${t.int}`,
        `rotation_ms ${t.int}`,
        `approved_ms ${t.int}`,
        `approval_type ${t.text}`,
        `approver ${t.text}`,
        `approval_notes ${t.text} not null`,
      ]),
      'create index service_key_service on service_key (service, id)',

      // Pulls and pushes of a repository per day (UTC), kept with the events, so that nobody has to count those.
      table('repository_activity', [
        `repository_id ${t.int} not null references repository (id)`,
        `day ${t.int} not null`,
        `events ${t.int} not null`,
        'primary key (repository_id, day)',
      ]),

      // The words in the names of live repositories, for the search: kept by whatever creates, hides or deletes one.
      table('repository_word', [
        `repository_id ${t.int} not null references repository (id) on delete cascade`,
        `word ${t.text} not null`,
        `namespace_id ${t.int} not null`,
        `is_public ${t.bool} not null`,
        'primary key (repository_id, word)',
      ]),
      // Apart, so that no walk over what everybody sees ever passes by what few see.
      'create index repository_word_open on repository_word (word, repository_id) where is_public = 1',
      'create index repository_word_hidden on repository_word (word, repository_id) where is_public = 0',
      'create index repository_word_open_in on repository_word (namespace_id, word, repository_id) where is_public = 1',
      'create index repository_word_hidden_in on repository_word (namespace_id, word, repository_id) where is_public = 0',

      // Lists over all namespaces go by id.
      "create index repository_public_id on repository (id) where deleted_ms is null and visibility = 'public'",
      'create index repository_namespace_id on repository (namespace_id, id) where deleted_ms is null',

      // The newest change of a repository, for lists.
      'create index tag_started on tag (repository_id, start_ms)',
      'create index repository_deleted on repository (deleted_ms) where deleted_ms is not null',
    ]
  },
}
