import { holdsTeamRole } from '../accounts/roles.ts'
import { Type } from '../platform/schema.ts'
import { decorate, type Listed, listReadable, listVisibleIn } from '../repositories/listing.ts'
import { listStarred } from '../repositories/stars.ts'
import { unixSeconds } from './quay-dates.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer, resolve } from './rest-edge.ts'
import { messageRefusal, problem } from './rest-errors.ts'
import { flag, text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import { starsOf, viewerOf } from './rest-viewer.ts'

const PAGE = 100
/** As in Quay, whose list of starred ones has no second page here. */
const STARRED_PAGE = 99

export const RepositoryState = Type.Union([Type.Literal('NORMAL'), Type.Literal('READ_ONLY'), Type.Literal('MIRROR')])

const RepoListItem = Type.Object(
  {
    namespace: Type.String(),
    name: Type.String(),
    description: Type.String(),
    is_public: Type.Boolean(),
    kind: Type.Literal('image'),
    state: RepositoryState,
    last_modified: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
    popularity: Type.Optional(Type.Number()),
    is_starred: Type.Optional(Type.Boolean()),
  },
  { $id: 'RepoListItem' },
)

/** GET /api/v1/repository. Of a namespace, of everybody's public ones, or of what the caller has starred. */
const listRepos = restRoute({
  method: 'GET',
  path: '/api/v1/repository',
  operationId: 'listRepos',
  tag: 'repository',
  summary: 'Repositories that the caller may see',
  access: { kind: 'anyone' },
  scope: 'repo:read',
  query: {
    namespace: text('Only of this namespace'),
    starred: flag('Only what the caller has starred'),
    public: flag('Public repositories of others as well'),
    last_modified: flag('With the time of the newest change'),
    popularity: flag('With the pulls of the last 30 days'),
    repo_kind: text('Kept for clients that send it'),
    next_page: text('Where the page before ended'),
  },
  answers: {
    200: {
      describe: 'A page of repositories',
      schema: Type.Object({ repositories: Type.Array(RepoListItem), next_page: Type.Optional(Type.String()) }),
    },
  },
  async handle(context, { caller, query, doing }) {
    const { services, pages } = context
    const namespace = query.namespace || undefined
    if (namespace === undefined && !query.starred && !query.public) {
      const ways = 'namespace, starred or public'
      throw problem('invalid_request', `Say which repositories to list: ${ways} is missing.`)
    }
    if (query.starred && caller.by === 'anonymous')
      throw messageRefusal(400, 'Only somebody who has signed in has stars.')
    const listName = `repositories ${caller.accountId} ${namespace ?? ''} ${query.public}`
    const after = pages.open(listName, query.next_page, doing.nowMs)
    const rows = query.starred
      ? await services.db.read(listStarred, { ...starsOf(caller), afterId: 0, limit: STARRED_PAGE })
      : await findPage(context, caller, namespace, query.public, after)
    const page = rows.slice(0, PAGE)
    const last = page.at(-1)
    const ids = page.map((row) => row.id)
    const wanted = query.last_modified || query.popularity || caller.by !== 'anonymous'
    const extras = new Map(
      wanted && ids.length > 0
        ? await services.db.read(decorate, { ids, accountId: caller.accountId, nowMs: doing.nowMs })
        : [],
    )
    const repositories = page.map(({ id, description, visibility, state, ...row }) => {
      const extra = extras.get(id)
      const modifiedMs = extra?.lastModifiedMs ?? null
      return {
        namespace: row.namespace,
        name: row.name,
        description,
        is_public: visibility === 'public',
        kind: 'image',
        state,
        ...(query.last_modified && { last_modified: modifiedMs === null ? null : unixSeconds(modifiedMs) }),
        ...(query.popularity && { popularity: extra?.popularity ?? 0 }),
        ...(caller.by !== 'anonymous' && { is_starred: extra?.starred ?? false }),
      }
    })
    const more = rows.length > PAGE
    const position = namespace === undefined ? last?.id : last?.name
    const next = more && position !== undefined ? { next_page: pages.seal(listName, [position], doing.nowMs) } : {}
    return answer(200, { repositories, ...next })
  },
})

/** One more than a page, so that it shows whether there is another one. */
async function findPage(
  context: RestContext,
  caller: RestCaller,
  namespaceName: string | undefined,
  withPublic: boolean,
  after: readonly (string | number)[] | undefined,
): Promise<Listed[]> {
  const { db } = context.services
  const [position] = after ?? []
  const limit = PAGE + 1
  const viewer = viewerOf(caller, withPublic)
  if (namespaceName === undefined) return db.read(listReadable, { viewer, afterId: Number(position ?? 0), limit })
  if (namespaceName.includes('/')) return []
  const { namespace, namespaceRole } = await resolve(context, caller, `${namespaceName}/`)
  if (namespace === undefined || namespace.state !== 'active') return []
  const own = viewer.readsAll || (viewer.accountId !== 0 && holdsTeamRole(namespaceRole, 'admin'))
  const within = { id: namespace.id, name: namespace.name, own }
  return db.read(listVisibleIn, { viewer, namespace: within, after: String(position ?? ''), limit })
}

export const repositoryListRoutes = [listRepos]
