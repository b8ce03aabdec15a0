import { countPending, listDeletedNamespaces, releaseName } from '../gc/purge.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { isoDate } from './quay-dates.ts'
import { answer } from './rest-edge.ts'
import { text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import { superuserOnly } from './superuser-user.routes.ts'

const PAGE = 50

const Deletion = Type.Object(
  {
    name: Type.String(),
    kind: Type.Union([Type.Literal('user'), Type.Literal('organization')]),
    deleted: Type.String(),
    remaining_repositories: Type.Integer(),
    purged: Type.Union([Type.String(), Type.Null()]),
    name_free_from: Type.Union([Type.String(), Type.Null()]),
  },
  { $id: 'Deletion' },
)

/** GET /api/v1/superuser/deletions. How far the removal of what was deleted has come; our own. */
const list = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/deletions',
  operationId: 'listDeletions',
  summary: 'Deleted users and organizations that are still being removed, or whose name is not free yet',
  access: { kind: 'superuser', readOnlySuperuser: true },
  query: { next_page: text('Where the page before ended') },
  answers: {
    200: {
      describe: 'A page of them, oldest first',
      schema: Type.Object({ deletions: Type.Array(Deletion), next_page: Type.Optional(Type.String()) }),
    },
  },
  async handle({ services, pages }, { query, doing }) {
    const [deletedMs = -1, id = 0] = pages.open('deletions', query.next_page, doing.nowMs) ?? []
    const after = { deletedMs: Number(deletedMs), id: Number(id) }
    const found = await services.db.read(listDeletedNamespaces, { after, limit: PAGE + 1 })
    const page = found.slice(0, PAGE)
    const deletions = await Promise.all(
      page.map(async (one) => {
        const isPurged = one.purgedMs !== null
        const remaining = isPurged ? 0 : await services.db.scan(countPending, { namespaceId: one.id })
        const freeMs = one.released === 1 ? doing.nowMs : one.deletedMs + services.config.accounts.nameHoldMs
        return {
          name: one.name,
          kind: one.kind,
          deleted: isoDate(one.deletedMs),
          remaining_repositories: remaining,
          purged: one.purgedMs === null ? null : isoDate(one.purgedMs),
          name_free_from: isPurged ? isoDate(freeMs) : null,
        }
      }),
    )
    const last = page.at(-1)
    const more = found.length > PAGE && last !== undefined
    const next = more ? { next_page: pages.seal('deletions', [last.deletedMs, last.id], doing.nowMs) } : {}
    return answer(200, { deletions, ...next })
  },
})

/** POST /api/v1/superuser/deletions/{name}/release. */
const release = restRoute({
  ...superuserOnly,
  method: 'POST',
  path: '/api/v1/superuser/deletions/{name}/release',
  operationId: 'releaseDeletedName',
  summary: 'Frees the name of a deleted user or organization as soon as nothing of it is left',
  access: { kind: 'superuser' },
  freshLogin: true,
  answers: { 204: { describe: 'It will be free' } },
  async handle({ services }, { caller, params, doing }) {
    const input = { name: params['name'] ?? '', superuser: caller.name, doing }
    await services.db.transaction(releaseName, input)
    return empty(204)
  },
})

export const deletionRoutes = [list, release]
