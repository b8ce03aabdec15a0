import { createUser, setEnabled, setPassword } from '../accounts/accounts.ts'
import { parseAccountName, parseEmail } from '../accounts/names.ts'
import { checkPassword, hashPassword } from '../accounts/passwords.ts'
import { changeEmail, findProfileByName, listProfiles, type Profile } from '../accounts/profile.ts'
import { newSecretText } from '../accounts/robots.ts'
import { standingOf } from '../accounts/standing.ts'
import { deleteNamespace } from '../organizations/deletion.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { sendCode } from './email-code.ts'
import type { RestContext } from './rest-context.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal, problem } from './rest-errors.ts'
import { flag, optionalInteger, text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const PASSWORD_CHARACTERS = 32
/** Of lists that Quay returns whole. */
const MAX_LIST = 10_000
export const MAX_PAGE = 100

const SuperUser = Type.Object(
  {
    kind: Type.Literal('user'),
    name: Type.String(),
    username: Type.String(),
    email: Type.String(),
    verified: Type.Boolean(),
    avatar: Avatar,
    super_user: Type.Boolean(),
    global_readonly_super_user: Type.Boolean(),
    enabled: Type.Boolean(),
    encrypted_password: Type.Optional(Type.String()),
  },
  { $id: 'SuperUser' },
)

function view(services: ApiServices, profile: Profile) {
  const { name, email, verified, enabled } = profile
  const standing = standingOf(services.config.accounts, name)
  return {
    kind: 'user',
    name,
    username: name,
    email: email ?? '',
    verified,
    avatar: avatarOf(services, 'user', name, email),
    super_user: standing.superuser,
    global_readonly_super_user: standing.readsAll,
    enabled,
  }
}

export const superuserOnly = {
  tag: 'superuser',
  scope: 'super:user',
  isOn: (config: ApiServices['config']) => config.accounts.superUsersEnabled,
} as const
const looks = { kind: 'superuser', readOnlySuperuser: true } as const
const changes = { kind: 'superuser' } as const

/** The user of the path. @throws DomainError NOT_FOUND */
async function getUser({ services }: RestContext, params: Readonly<Record<string, string>>): Promise<Profile> {
  const profile = await services.db.read(findProfileByName, { name: params['username'] ?? '' })
  if (profile === undefined) throw refuse('NOT_FOUND')
  return profile
}

/** Superusers stand in the configuration, and one cannot shut another one out. */
function refuseSuperuser({ services }: RestContext, { name }: Profile, caller: string): void {
  if (name !== caller && standingOf(services.config.accounts, name).superuser)
    throw problem('invalid_request', `${name} is a superuser: change SUPER_USERS in the configuration first.`)
}

/** GET /api/v1/superuser/users/. */
const list = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/users/',
  operationId: 'listAllUsers',
  summary: 'Every user',
  access: looks,
  freshLogin: true,
  query: {
    disabled: flag('Also those who are disabled', true),
    limit: optionalInteger('How many per page; without it all of them', { min: 1, max: 1_000_000 }),
    next_page: text('Where the page before ended'),
  },
  answers: {
    200: {
      describe: 'Users by name',
      schema: Type.Object({ users: Type.Array(SuperUser), next_page: Type.Optional(Type.String()) }),
    },
  },
  async handle({ services, pages }, { query, doing }) {
    if (query.limit !== undefined && query.limit > MAX_PAGE)
      throw problem('invalid_request', `A page has at most ${MAX_PAGE} users.`)
    const name = `superuser users ${query.disabled}`
    const [after = ''] = query.limit === undefined ? [] : (pages.open(name, query.next_page, doing.nowMs) ?? [])
    const limit = query.limit ?? MAX_LIST
    const found = await services.db.scan(listProfiles, {
      after: String(after),
      withDisabled: query.disabled,
      limit: limit + 1,
    })
    const page = found.slice(0, limit)
    const last = page.at(-1)
    const more = query.limit !== undefined && found.length > limit && last !== undefined
    const next = more ? { next_page: pages.seal(name, [last.name], doing.nowMs) } : {}
    return answer(200, { users: page.map((profile) => view(services, profile)), ...next })
  },
})

/** POST /api/v1/superuser/users/. The password is always made here, whatever is sent. */
const create = restRoute({
  ...superuserOnly,
  method: 'POST',
  path: '/api/v1/superuser/users/',
  operationId: 'createInstallUser',
  summary: 'Creates a user with a password that is made up',
  access: changes,
  freshLogin: true,
  body: Type.Object(
    { username: Type.String(), email: Type.Optional(Type.Union([Type.String(), Type.Null()])) },
    { $id: 'CreateInstallUser' },
  ),
  answers: {
    200: {
      describe: 'The user, with the password in both forms',
      schema: Type.Object({
        username: Type.String(),
        email: Type.Union([Type.String(), Type.Null()]),
        password: Type.String(),
        encrypted_password: Type.String(),
      }),
    },
  },
  async handle({ services, passwords }, { caller, body, doing }) {
    const mails = services.config.mail !== undefined
    const email = body.email?.trim() ? body.email.trim() : undefined
    if (mails && email === undefined) throw messageRefusal(400, 'A user needs an e-mail address here.')
    const password = newSecretText(PASSWORD_CHARACTERS)
    try {
      const name = parseAccountName(body.username)
      const address = email === undefined ? undefined : parseEmail(email).address
      const user = await services.db.transaction(createUser, {
        name,
        ...(address !== undefined && { email: address }),
        passwordHash: await hashPassword(password),
        enabled: true,
        verified: !mails,
        superuser: caller.name,
        ...doing,
      })
      if (mails && address !== undefined)
        await sendCode(services, { accountId: user.accountId, name, purpose: 'confirm', email: address })
      const encrypted_password = passwords.encrypt(password)
      return answer(200, { username: user.name, email: user.email, password, encrypted_password })
    } catch (error) {
      if (isRefusal(error, 'ACCOUNT_INVALID') || isRefusal(error, 'ACCOUNT_EXISTS'))
        throw messageRefusal(400, error.message)
      throw error
    }
  },
})

/** GET /api/v1/superuser/users/{username}. */
const get = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/users/{username}',
  operationId: 'getInstallUser',
  summary: 'One user',
  access: looks,
  freshLogin: true,
  answers: { 200: { describe: 'The user', schema: SuperUser } },
  async handle(context, { params }) {
    return answer(200, view(context.services, await getUser(context, params)))
  },
})

/** PUT /api/v1/superuser/users/{username}. */
const put = restRoute({
  ...superuserOnly,
  method: 'PUT',
  path: '/api/v1/superuser/users/{username}',
  operationId: 'changeInstallUser',
  summary: 'Changes password, e-mail address or whether a user may sign in',
  access: changes,
  freshLogin: true,
  body: Type.Object(
    {
      password: Type.Optional(Type.String()),
      email: Type.Optional(Type.String()),
      enabled: Type.Optional(Type.Boolean()),
    },
    { $id: 'UpdateUser' },
  ),
  answers: { 200: { describe: 'The user', schema: SuperUser } },
  async handle(context, { caller, params, body, doing }) {
    const { services, passwords } = context
    const profile = await getUser(context, params)
    refuseSuperuser(context, profile, caller.name)
    const { id: accountId } = profile
    const { actor, address, nowMs } = doing
    const by = { accountId, actor, address, nowMs, superuser: caller.name }
    const asMessage = (error: unknown) => {
      const known = isRefusal(error, 'ACCOUNT_INVALID') || isRefusal(error, 'ACCOUNT_EXISTS')
      return known ? messageRefusal(400, error.message) : error
    }
    try {
      if (body.password !== undefined) checkPassword(body.password)
      if (body.email !== undefined && body.email !== profile.email)
        await services.db.transaction(changeEmail, { accountId, email: body.email, superuser: caller.name, doing })
    } catch (error) {
      throw asMessage(error)
    }
    if (body.password !== undefined) {
      const passwordHash = await hashPassword(body.password)
      await services.db.transaction(setPassword, { ...by, passwordHash })
    }
    if (body.enabled !== undefined) await services.db.transaction(setEnabled, { ...by, enabled: body.enabled })
    const after = view(services, await getUser(context, params))
    const encrypted = body.password === undefined ? {} : { encrypted_password: passwords.encrypt(body.password) }
    return answer(200, { ...after, ...encrypted })
  },
})

/** DELETE /api/v1/superuser/users/{username}. */
const remove = restRoute({
  ...superuserOnly,
  method: 'DELETE',
  path: '/api/v1/superuser/users/{username}',
  operationId: 'deleteInstallUser',
  summary: 'Deletes a user with everything in their namespace',
  access: changes,
  freshLogin: true,
  answers: { 204: { describe: 'Deleted' } },
  async handle(context, { params, doing }) {
    const profile = await getUser(context, params)
    refuseSuperuser(context, profile, '')
    await context.services.db.transaction(deleteNamespace, { namespaceId: profile.namespaceId, doing })
    return empty(204)
  },
})

/** POST /api/v1/superusers/users/{username}/sendrecovery. */
const sendRecovery = restRoute({
  ...superuserOnly,
  isOn: (config) => config.accounts.superUsersEnabled && config.mail !== undefined,
  method: 'POST',
  path: '/api/v1/superusers/users/{username}/sendrecovery',
  operationId: 'sendInstallUserRecoveryEmail',
  summary: 'Sends a user a link to get back into the account',
  access: changes,
  freshLogin: true,
  answers: { 200: { describe: 'Sent', schema: Type.Object({ email: Type.String() }) } },
  async handle(context, { params }) {
    const profile = await getUser(context, params)
    refuseSuperuser(context, profile, '')
    const { id: accountId, name, email } = profile
    if (email === null) throw problem('invalid_request', `${name} has no e-mail address.`)
    await sendCode(context.services, { accountId, name, purpose: 'recover', email })
    return answer(200, { email })
  },
})

export const superuserUserRoutes = [list, create, get, put, remove, sendRecovery]
