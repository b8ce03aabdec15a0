import { findProfile, type Profile } from '../accounts/profile.ts'
import { holdsUserRole } from '../accounts/roles.ts'
import { standingOf } from '../accounts/standing.ts'
import { listOrganizationsOf } from '../organizations/organizations.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { tagExpirationSeconds } from './namespace-settings.ts'
import type { RestCaller } from './rest-caller.ts'
import type { ApiServices } from './services.ts'

const Text = Type.Union([Type.String(), Type.Null()])

const UserOrgRef = Type.Object(
  {
    name: Type.String(),
    avatar: Avatar,
    can_create_repo: Type.Boolean(),
    public: Type.Boolean(),
    is_org_admin: Type.Optional(Type.Boolean()),
    preferred_namespace: Type.Optional(Type.Boolean()),
  },
  { $id: 'UserOrgRef' },
)

export const UserPublic = Type.Object(
  { anonymous: Type.Literal(false), username: Type.String(), avatar: Avatar },
  { $id: 'UserPublic' },
)

/** What a user sees of themselves; a token that reaches less far shows less. */
export const UserSelf = Type.Object(
  {
    anonymous: Type.Literal(false),
    username: Type.String(),
    avatar: Avatar,
    can_create_repo: Type.Optional(Type.Boolean()),
    is_me: Type.Optional(Type.Boolean()),
    verified: Type.Optional(Type.Boolean()),
    email: Type.Optional(Type.String()),
    logins: Type.Optional(Type.Array(Type.Object({}))),
    invoice_email: Type.Optional(Type.Boolean()),
    invoice_email_address: Type.Optional(Text),
    preferred_namespace: Type.Optional(Type.Boolean()),
    tag_expiration_s: Type.Optional(Type.Integer()),
    prompts: Type.Optional(Type.Array(Type.String())),
    company: Type.Optional(Text),
    family_name: Type.Optional(Text),
    given_name: Type.Optional(Text),
    location: Type.Optional(Text),
    is_free_account: Type.Optional(Type.Boolean()),
    has_password_set: Type.Optional(Type.Boolean()),
    organizations: Type.Optional(Type.Array(UserOrgRef)),
    super_user: Type.Optional(Type.Boolean()),
    global_readonly_super_user: Type.Optional(Type.Boolean()),
  },
  { $id: 'UserView' },
)

/** What everybody may know of a user. */
export function publicView(services: ApiServices, { name, email }: Pick<Profile, 'name' | 'email'>) {
  return { anonymous: false, username: name, avatar: avatarOf(services, 'user', name, email) }
}

/** The user as they see themselves, as far as the caller's credential reaches; undefined when the account is gone. */
export async function selfView(services: ApiServices, caller: Pick<RestCaller, 'accountId' | 'caps'>) {
  const { accountId, caps } = caller
  const profile = await services.db.read(findProfile, { accountId })
  if (profile === undefined) return undefined
  const organizations = await services.db.read(listOrganizationsOf, { accountId })
  const isWhole = holdsUserRole(caps.user, 'admin')
  const standing = standingOf(services.config.accounts, profile.name)
  const memberships = organizations.map(({ name, email, role }) => ({
    name,
    avatar: avatarOf(services, 'org', name, email),
    can_create_repo: role !== 'member',
    public: false,
    ...(isWhole && { is_org_admin: role === 'admin', preferred_namespace: false }),
  }))
  if (!isWhole) return { ...publicView(services, profile), organizations: memberships }
  return {
    ...publicView(services, profile),
    can_create_repo: !standing.restricted,
    is_me: true,
    verified: profile.verified,
    email: profile.email ?? '',
    logins: [],
    invoice_email: profile.invoiceEmail,
    invoice_email_address: profile.invoiceEmailAddress,
    preferred_namespace: false,
    tag_expiration_s: tagExpirationSeconds(services, profile.tagWindowMs),
    prompts: [],
    company: profile.company,
    family_name: profile.familyName,
    given_name: profile.givenName,
    location: profile.location,
    is_free_account: true,
    has_password_set: profile.hasPassword,
    organizations: memberships,
    ...(standing.superuser && caps.superuser && { super_user: true }),
    ...(standing.readsAll && caps.superuser && { global_readonly_super_user: true }),
  }
}
