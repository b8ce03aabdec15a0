import { dismissNotice, findNotice, listNotices, type Notice } from '../notices/notices.ts'
import { refuse } from '../platform/errors.ts'
import { Type } from '../platform/schema.ts'
import { inviteCode } from './invitations.ts'
import { mailDate } from './quay-dates.ts'
import { answer } from './rest-edge.ts'
import { integer } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const UserNotification = Type.Object(
  {
    id: Type.String(),
    organization: Type.Union([Type.String(), Type.Null()]),
    kind: Type.String(),
    created: Type.String(),
    metadata: Type.Record(Type.Unknown()),
    dismissed: Type.Boolean(),
  },
  { $id: 'UserNotification' },
)

function view(services: ApiServices, { uuid, organization, kind, createdMs, metadata, dismissed }: Notice) {
  const { nonce, ...told } = metadata
  // The code of an invitation is stored nowhere.
  const code = typeof nonce === 'string' ? { code: inviteCode(services, nonce) } : {}
  return { id: uuid, organization, kind, created: mailDate(createdMs), metadata: { ...told, ...code }, dismissed }
}

const common = { tag: 'user', access: { kind: 'user', role: 'admin' }, scope: 'user:admin', internal: true } as const

/** GET /api/v1/user/notifications. */
const list = restRoute({
  ...common,
  method: 'GET',
  path: '/api/v1/user/notifications',
  operationId: 'listUserNotifications',
  summary: 'What the bell shows',
  query: {
    page: integer('Which page; 0 and 1 are the first', { min: 0, max: 1_000, fallback: 0 }),
    limit: integer('How many at most', { min: 1, max: 100, fallback: 5 }),
  },
  answers: {
    200: {
      describe: 'Undismissed notices, newest first',
      schema: Type.Object({ notifications: Type.Array(UserNotification), additional: Type.Boolean() }),
    },
  },
  async handle({ services }, { caller, query }) {
    // Quay skips one between pages; a list that loses entries helps nobody.
    const skip = Math.max(0, query.page - 1) * query.limit
    const found = await services.db.read(listNotices, { accountId: caller.accountId, skip, limit: query.limit + 1 })
    const notifications = found.slice(0, query.limit).map((notice) => view(services, notice))
    return answer(200, { notifications, additional: found.length > query.limit })
  },
})

/** GET /api/v1/user/notifications/{uuid}. */
const get = restRoute({
  ...common,
  method: 'GET',
  path: '/api/v1/user/notifications/{uuid}',
  operationId: 'getUserNotification',
  summary: 'One notice',
  answers: { 200: { describe: 'It', schema: UserNotification } },
  async handle({ services }, { caller, params }) {
    const notice = await services.db.read(findNotice, { accountId: caller.accountId, uuid: params['uuid'] ?? '' })
    if (notice === undefined) throw refuse('NOT_FOUND')
    return answer(200, view(services, notice))
  },
})

/** PUT /api/v1/user/notifications/{uuid}. */
const put = restRoute({
  ...common,
  method: 'PUT',
  path: '/api/v1/user/notifications/{uuid}',
  operationId: 'updateUserNotification',
  summary: 'Takes a notice from behind the bell, or puts it back',
  body: Type.Object({ dismissed: Type.Optional(Type.Boolean()) }, { $id: 'UpdateNotification' }),
  answers: { 200: { describe: 'It', schema: UserNotification } },
  async handle({ services }, { caller, params, body }) {
    const change = { accountId: caller.accountId, uuid: params['uuid'] ?? '', dismissed: body.dismissed ?? false }
    const notice = await services.db.transaction(dismissNotice, change)
    if (notice === undefined) throw refuse('NOT_FOUND')
    return answer(200, view(services, notice))
  },
})

export const notificationRoutes = [list, get, put]
