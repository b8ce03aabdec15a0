import { capRepositoryRole } from '../accounts/roles.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { deleteStar, listStarred, putStar } from '../repositories/stars.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer, resolve } from './rest-edge.ts'
import { text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import { starsOf } from './rest-viewer.ts'

const PAGE = 100
/** No name of a repository is longer. */
const MAX_PATH = 255

const StarredRepo = Type.Object(
  { namespace: Type.String(), name: Type.String(), description: Type.String(), is_public: Type.Boolean() },
  { $id: 'StarredRepo' },
)

/** GET /api/v1/user/starred. */
const listStars = restRoute({
  method: 'GET',
  path: '/api/v1/user/starred',
  operationId: 'listStarredRepos',
  tag: 'user',
  summary: 'What the caller has starred',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  query: { next_page: text('Where the page before ended') },
  answers: {
    200: {
      describe: 'A page of repositories',
      schema: Type.Object({ repositories: Type.Array(StarredRepo), next_page: Type.Optional(Type.String()) }),
    },
  },
  async handle({ services, pages }, { caller, query, doing }) {
    const list = `stars ${caller.accountId}`
    const [after] = pages.open(list, query.next_page, doing.nowMs) ?? []
    const input = { ...starsOf(caller), afterId: Number(after ?? 0), limit: PAGE + 1 }
    const rows = await services.db.read(listStarred, input)
    const page = rows.slice(0, PAGE)
    const last = page.at(-1)
    const repositories = page.map(({ namespace, name, description, visibility }) => ({
      namespace,
      name,
      description,
      is_public: visibility === 'public',
    }))
    const more = rows.length > PAGE && last !== undefined
    return answer(200, { repositories, ...(more && { next_page: pages.seal(list, [last.id], doing.nowMs) }) })
  },
})

/** The repository, if the caller may read it with the credential that they use. */
async function findReadable(context: RestContext, caller: RestCaller, path: string): Promise<number | undefined> {
  if (!path.includes('/') || path.length > MAX_PATH) return undefined
  const { repository, repositoryRole, rights } = await resolve(context, caller, path)
  const isOpen = repository?.visibility === 'public' && rights.pull
  return isOpen || capRepositoryRole(repositoryRole, caller.caps.repository) !== null ? repository?.id : undefined
}

/** POST /api/v1/user/starred. What the caller cannot see is as good as missing: null, as in Quay. */
const createStar = restRoute({
  method: 'POST',
  path: '/api/v1/user/starred',
  operationId: 'createStar',
  tag: 'user',
  summary: 'Stars a repository',
  access: { kind: 'user', role: 'admin' },
  scope: 'repo:read',
  body: Type.Object({ namespace: Type.String(), repository: Type.String() }, { $id: 'NewStarredRepository' }),
  answers: {
    200: { describe: 'There is no such repository', schema: Type.Null() },
    201: { describe: 'Starred', schema: Type.Object({ namespace: Type.String(), repository: Type.String() }) },
  },
  async handle(context, { caller, body, doing }) {
    const { namespace, repository } = body
    const repositoryId = await findReadable(context, caller, `${namespace}/${repository}`)
    if (repositoryId === undefined) return answer(200, null)
    await context.services.db.transaction(putStar, { accountId: caller.accountId, repositoryId, nowMs: doing.nowMs })
    return answer(201, { namespace, repository })
  },
})

/** DELETE /api/v1/user/starred/{repository}. */
const removeStar = restRoute({
  method: 'DELETE',
  path: '/api/v1/user/starred/{repository}',
  operationId: 'deleteStar',
  tag: 'user',
  summary: 'Takes a star away',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  answers: {
    200: { describe: 'There is no such repository', schema: Type.Null() },
    204: { describe: 'Taken away' },
  },
  async handle(context, { caller, params }) {
    const repositoryId = await findReadable(context, caller, params['repository'] ?? '')
    if (repositoryId === undefined) return answer(200, null)
    await context.services.db.transaction(deleteStar, { accountId: caller.accountId, repositoryId })
    return empty(204)
  },
})

export const starRoutes = [listStars, createStar, removeStar]
