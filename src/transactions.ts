import * as accounts from './accounts/accounts.ts'
import * as appTokens from './accounts/app-tokens.ts'
import * as epochs from './accounts/epochs.ts'
import * as profile from './accounts/profile.ts'
import * as removal from './accounts/removal.ts'
import * as robots from './accounts/robots.ts'
import * as audit from './audit/audit.ts'
import * as access from './auth/access.ts'
import * as explanation from './auth/explanation.ts'
import * as keys from './auth/keys.ts'
import * as blobs from './blobs/blobs.ts'
import * as registrySize from './blobs/registry-size.ts'
import * as knownStores from './blobs/stores.ts'
import * as uploads from './blobs/uploads.ts'
import * as fsckEvents from './fsck/events.ts'
import * as fsckManifests from './fsck/manifests.ts'
import * as fsckRows from './fsck/rows.ts'
import * as gc from './gc/gc.ts'
import * as purge from './gc/purge.ts'
import * as backoff from './identity/backoff.ts'
import * as emailCodes from './identity/email-codes.ts'
import * as ownPassword from './identity/own-password.ts'
import * as registration from './identity/registration.ts'
import * as sessions from './identity/sessions.ts'
import * as setup from './identity/setup.ts'
import * as signIns from './identity/sign-in.ts'
import * as jobs from './jobs/jobs.ts'
import * as mail from './mail/mail.ts'
import * as manifests from './manifests/manifests.ts'
import * as messages from './messages/messages.ts'
import * as notices from './notices/notices.ts'
import * as applications from './oauth/applications.ts'
import * as assignments from './oauth/assignments.ts'
import * as oauthCodes from './oauth/codes.ts'
import * as oauthTokens from './oauth/tokens.ts'
import * as objects from './objects/objects.ts'
import * as authorizing from './organizations/authorizing.ts'
import * as conversion from './organizations/conversion.ts'
import * as defaultPermissions from './organizations/default-permissions.ts'
import * as namespaceDeletion from './organizations/deletion.ts'
import * as invites from './organizations/invites.ts'
import * as members from './organizations/members.ts'
import * as organizations from './organizations/organizations.ts'
import * as ownAccount from './organizations/own-account.ts'
import * as ownership from './organizations/ownership.ts'
import * as teams from './organizations/teams.ts'
import * as outbox from './outbox/outbox.ts'
import * as referrers from './referrers/referrers.ts'
import * as repositoryChanges from './repositories/changes.ts'
import * as repositoryDetails from './repositories/details.ts'
import * as grants from './repositories/grants.ts'
import * as listing from './repositories/listing.ts'
import * as repositories from './repositories/repositories.ts'
import * as repositorySearch from './repositories/search.ts'
import * as stars from './repositories/stars.ts'
import * as serviceKeys from './service-keys/service-keys.ts'
import * as push from './tags/push.ts'
import * as tags from './tags/tags.ts'

/**
 * The modules whose exported functions may run as transactions. On SQLite both the request thread and the database
 * threads import this file and find a function by its name in it.
 */
export const modules = {
  access,
  accounts,
  applications,
  appTokens,
  assignments,
  audit,
  authorizing,
  backoff,
  blobs,
  conversion,
  defaultPermissions,
  emailCodes,
  epochs,
  explanation,
  fsckEvents,
  fsckManifests,
  fsckRows,
  gc,
  grants,
  invites,
  jobs,
  keys,
  knownStores,
  listing,
  mail,
  manifests,
  members,
  messages,
  namespaceDeletion,
  notices,
  oauthCodes,
  oauthTokens,
  objects,
  organizations,
  outbox,
  ownAccount,
  ownership,
  ownPassword,
  profile,
  purge,
  push,
  referrers,
  registration,
  registrySize,
  removal,
  repositories,
  repositoryChanges,
  repositoryDetails,
  repositorySearch,
  robots,
  serviceKeys,
  sessions,
  setup,
  signIns,
  stars,
  tags,
  teams,
  uploads,
}
