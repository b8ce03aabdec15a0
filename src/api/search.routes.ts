import { capTeamRole, holdsTeamRole, holdsUserRole } from '../accounts/roles.ts'
import { Type } from '../platform/schema.ts'
import { type EntityRow, listGrantable, prefixOf, searchEntities } from '../repositories/entities.ts'
import { searchRepositories } from '../repositories/search.ts'
import { Avatar, avatarOf } from './avatar.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer, resolve } from './rest-edge.ts'
import { flag, integer, text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import { viewerOf } from './rest-viewer.ts'
import {
  foundEntity,
  foundRepository,
  foundTeam,
  RepoSearchResult,
  SearchEntity,
  TeamSearchResult,
} from './search-view.ts'
import type { ApiServices } from './services.ts'

const ENTITIES = 10
/** Of each kind. */
const HITS = 5
const PAGE_SIZE = 10
const MAX_PAGE = 10

const Entity = Type.Object(
  {
    name: Type.String(),
    kind: Type.Union([Type.Literal('user'), Type.Literal('team'), Type.Literal('org'), Type.Literal('external')]),
    is_robot: Type.Optional(Type.Boolean()),
    is_org_member: Type.Optional(Type.Boolean()),
    avatar: Avatar,
    title: Type.Optional(Type.String()),
  },
  { $id: 'Entity' },
)

/** Everybody may ask whether a name exists; a list of names is for people who work here, and can be switched off. */
function exactUsers({ config }: ApiServices, caller: RestCaller): boolean {
  return caller.by === 'anonymous' || !config.accounts.partialUserNames
}

/** GET /api/v1/entities/{prefix}. Who may be given rights in a namespace: teams, then robot accounts, users and the organization. */
const getMatchingEntities = restRoute({
  method: 'GET',
  path: '/api/v1/entities/{prefix}',
  operationId: 'getMatchingEntities',
  tag: 'search',
  summary: 'Users, robot accounts and teams whose name begins so',
  access: { kind: 'anyone' },
  query: {
    namespace: text('Where rights are to be given'),
    includeTeams: flag('With teams of the namespace'),
    includeOrgs: flag('With the organization itself'),
  },
  answers: { 200: { describe: 'Some of each kind', schema: Type.Object({ results: Type.Array(Entity) }) } },
  async handle(context, { caller, params, query }) {
    const { services } = context
    const prefix = prefixOf(params['prefix'] ?? '')
    if (prefix === '') return answer(200, { results: [] })
    const seen = await namespaceSeenBy(context, caller, query.namespace)
    const isOrganization = seen?.kind === 'organization'
    const rows = await services.db.read(listGrantable, {
      prefix,
      exactUsers: exactUsers(services, caller),
      limit: ENTITIES,
      namespace: seen?.isMember ? { id: seen.id, withTeams: isOrganization && query.includeTeams } : undefined,
    })
    const order = ['team', 'robot', 'user']
    const entities = rows
      .toSorted((left, right) => order.indexOf(left.kind) - order.indexOf(right.kind))
      .map((row) => entityView(services, row, isOrganization))
    const self =
      isOrganization && seen.isAdmin && query.includeOrgs && seen.name.startsWith(prefix)
        ? [{ name: seen.name, kind: 'org', is_org_member: true, avatar: avatarOf(services, 'org', seen.name) }]
        : []
    return answer(200, { results: [...entities, ...self] })
  },
})

function entityView(services: ApiServices, { kind, name, email, isMember }: EntityRow, isOrganization: boolean) {
  if (kind === 'team') return { name, kind, is_org_member: true, avatar: avatarOf(services, 'team', name) }
  const isRobot = kind === 'robot'
  const avatar = avatarOf(services, isRobot ? 'robot' : 'user', name, email)
  return { name, kind: 'user', is_robot: isRobot, avatar, ...(isOrganization && { is_org_member: isMember === 1 }) }
}

/** The namespace, and what the caller is in it with the credential that they use. Undefined when there is none. */
async function namespaceSeenBy(context: RestContext, caller: RestCaller, name: string | undefined) {
  if (name === undefined || name === '' || name.includes('/')) return undefined
  const { namespace, namespaceRole } = await resolve(context, caller, `${name}/`)
  if (namespace === undefined || namespace.state !== 'active') return undefined
  const { id, kind } = namespace
  if (kind === 'user') {
    const isOwner = namespaceRole === 'admin' && holdsUserRole(caller.caps.user, 'admin')
    return { id, kind, name, isMember: isOwner, isAdmin: isOwner }
  }
  const role = capTeamRole(namespaceRole, caller.caps.team)
  return { id, kind, name, isMember: role !== null, isAdmin: holdsTeamRole(role, 'admin') }
}

const queryText = text('What to search for')

/** GET /api/v1/find/all. Some of everything that has such a name and that the caller may see. */
const conductSearch = restRoute({
  method: 'GET',
  path: '/api/v1/find/all',
  operationId: 'conductSearch',
  tag: 'search',
  summary: 'Finds users, organizations, teams, robot accounts and repositories by name',
  access: { kind: 'anyone' },
  scope: 'repo:read',
  query: { query: queryText },
  answers: {
    200: {
      describe: 'Up to five of each kind, the likest first',
      schema: Type.Object({ results: Type.Array(Type.Union([RepoSearchResult, SearchEntity, TeamSearchResult])) }),
    },
  },
  async handle({ services }, { caller, query, doing }) {
    const wanted = query.query ?? ''
    const prefix = prefixOf(wanted)
    if (prefix === '') return answer(200, { results: [] })
    const { accountId, caps } = caller
    const signedIn = caller.by !== 'anonymous'
    const [entities, { hits }] = await Promise.all([
      services.db.read(searchEntities, {
        prefix,
        exactUsers: exactUsers(services, caller),
        limit: HITS,
        reach: {
          accountId,
          teams: signedIn && caps.team !== null,
          administered: signedIn && caps.team === 'admin',
          ownRobots: signedIn && caps.user === 'admin',
        },
      }),
      services.db.read(searchRepositories, {
        viewer: viewerOf(caller, true),
        query: wanted,
        offset: 0,
        limit: HITS,
        nowMs: doing.nowMs,
      }),
    ])
    const found = [
      ...hits.map((hit) => foundRepository(services, hit)),
      ...firstOfEachKind(entities).map((row) =>
        row.kind === 'team' ? foundTeam(services, row, prefix) : foundEntity(services, row, prefix),
      ),
    ]
    return answer(200, { results: found.toSorted((left, right) => right.score - left.score) })
  },
})

/** Teams and robot accounts come from several places, each of which may have given as many. */
function firstOfEachKind(rows: readonly EntityRow[]): EntityRow[] {
  return [...Map.groupBy(rows, ({ kind }) => kind).values()].flatMap((ofKind) => ofKind.slice(0, HITS))
}

/** GET /api/v1/find/repositories. */
const conductRepoSearch = restRoute({
  method: 'GET',
  path: '/api/v1/find/repositories',
  operationId: 'conductRepoSearch',
  tag: 'search',
  summary: 'Finds repositories by name, ten to a page',
  access: { kind: 'anyone' },
  query: {
    query: queryText,
    page: integer('The page, from 1 to 10', { min: 1, max: MAX_PAGE, fallback: 1 }),
    includeUsage: flag('With stars, pulls and the time of the newest change'),
  },
  answers: {
    200: {
      describe: 'A page of repositories, the likest first',
      schema: Type.Object({
        results: Type.Array(RepoSearchResult),
        has_additional: Type.Boolean(),
        page: Type.Integer(),
        page_size: Type.Integer(),
        start_index: Type.Integer(),
      }),
    },
  },
  async handle({ services }, { caller, query, doing }) {
    const offset = (query.page - 1) * PAGE_SIZE
    const viewer = viewerOf(caller, true)
    const search = { viewer, query: query.query ?? '', offset, limit: PAGE_SIZE, nowMs: doing.nowMs }
    const { hits, more } = await services.db.read(searchRepositories, search)
    return answer(200, {
      results: hits.map((hit) => foundRepository(services, hit, { withUsage: query.includeUsage })),
      has_additional: more && query.page < MAX_PAGE,
      page: query.page,
      page_size: PAGE_SIZE,
      start_index: offset,
    })
  },
})

export const searchRoutes = [getMatchingEntities, conductSearch, conductRepoSearch]
