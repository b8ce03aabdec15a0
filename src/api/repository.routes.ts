import { createHmac } from 'node:crypto'
import { capTeamRole, holdsRepositoryRole, holdsTeamRole } from '../accounts/roles.ts'
import { whyNotCreatable } from '../oci/name.ts'
import { refuse } from '../platform/errors.ts'
import { empty, json } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { deleteRepository, describeRepository, setState, setVisibility } from '../repositories/changes.ts'
import { findDetail, type TagSummary } from '../repositories/details.ts'
import { putRepository, splitPath } from '../repositories/repositories.ts'
import { tagExpirationSeconds } from './namespace-settings.ts'
import { dayDate, mailDate } from './quay-dates.ts'
import { RepositoryState } from './repository-list.routes.ts'
import { answer, refusalFor, resolve } from './rest-edge.ts'
import { problem, RestRefusal } from './rest-errors.ts'
import { flag } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const Visibility = Type.Union([Type.Literal('public'), Type.Literal('private')])
const Success = Type.Object({ success: Type.Boolean() })

const RepoTag = Type.Object(
  {
    name: Type.String(),
    size: Type.Union([Type.Integer(), Type.Null()]),
    last_modified: Type.String(),
    expiration: Type.Optional(Type.String()),
    manifest_digest: Type.String(),
  },
  { $id: 'RepoTag' },
)

const RepoDetail = Type.Object(
  {
    namespace: Type.String(),
    name: Type.String(),
    kind: Type.Literal('image'),
    description: Type.String(),
    is_public: Type.Boolean(),
    is_organization: Type.Boolean(),
    is_starred: Type.Boolean(),
    status_token: Type.String(),
    trust_enabled: Type.Boolean(),
    tag_expiration_s: Type.Integer(),
    is_free_account: Type.Boolean(),
    state: RepositoryState,
    tags: Type.Optional(Type.Record(RepoTag)),
    can_write: Type.Boolean(),
    can_admin: Type.Boolean(),
    stats: Type.Optional(Type.Array(Type.Object({ date: Type.String(), count: Type.Integer() }))),
  },
  { $id: 'RepoDetail' },
)

/** POST /api/v1/repository. Creates an empty repository; a push would create it as well. */
const createRepo = restRoute({
  method: 'POST',
  path: '/api/v1/repository',
  operationId: 'createRepo',
  tag: 'repository',
  summary: 'Creates a repository',
  access: { kind: 'signed-in' },
  scope: 'repo:create',
  body: Type.Object(
    {
      repository: Type.String(),
      visibility: Visibility,
      namespace: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      description: Type.String(),
      repo_kind: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    },
    { $id: 'NewRepo' },
  ),
  answers: {
    201: {
      describe: 'Created',
      schema: Type.Object({ namespace: Type.String(), name: Type.String(), kind: Type.Literal('image') }),
    },
  },
  async handle(context, { caller, body, doing }) {
    const { services } = context
    const namespace = body.namespace || caller.name
    // It would become a part of the name.
    if (namespace.includes('/')) throw refuse('DENIED')
    const access = await resolve(context, caller, `${namespace}/`)
    const mayCreate = holdsTeamRole(capTeamRole(access.namespaceRole, caller.caps.team), 'creator')
    if (!mayCreate || (caller.standing.restricted && access.namespace?.id === caller.namespaceId))
      throw refuse('DENIED')
    refuseKind(body.repo_kind)
    const path = `${namespace}/${body.repository}`
    const reason = whyNotCreatable(path)
    if (reason !== undefined) throw problem('invalid_request', reason)
    if (!services.config.registry.extendedNames && body.repository.includes('/'))
      throw problem('invalid_request', 'Names with more than two parts are off: FEATURE_EXTENDED_REPOSITORY_NAMES.')
    const made = await services.db.transaction(putRepository, {
      path,
      visibility: body.visibility,
      description: body.description,
      createNamespace: false,
      ...doing,
    })
    if (!made.created) throw problem('invalid_request', 'The repository exists already.')
    return answer(201, { namespace, name: body.repository, kind: 'image' })
  },
})

function refuseKind(kind: string | null | undefined): void {
  if (kind === undefined || kind === null || kind === 'image') return
  const why =
    kind === 'application'
      ? 'Application repositories are gone: charts and other OCI artifacts go into ordinary repositories.'
      : 'The kind of a repository is image.'
  throw problem('invalid_request', why)
}

/** GET /api/v1/repository/{repository}. */
const getRepo = restRoute({
  method: 'GET',
  path: '/api/v1/repository/{repository}',
  operationId: 'getRepo',
  tag: 'repository',
  summary: 'A repository, with its newest tags',
  access: { kind: 'repository', role: 'read', readOnlySuperuser: true },
  scope: 'repo:read',
  query: {
    includeStats: flag('With the pulls of each day'),
    includeTags: flag('With up to 500 tags', true),
  },
  answers: { 200: { describe: 'The repository', schema: RepoDetail } },
  async handle({ services }, { caller, repository, repositoryRole, namespace, query, doing }) {
    const detail = await services.db.read(findDetail, {
      repositoryId: repository.id,
      accountId: caller.accountId,
      withTags: query.includeTags,
      withStats: query.includeStats,
      nowMs: doing.nowMs,
    })
    if (detail === undefined) throw refuse('NOT_FOUND')
    const { name } = splitPath(repository.path)
    return answer(200, {
      namespace: namespace.name,
      name,
      kind: 'image',
      description: detail.description,
      is_public: repository.visibility === 'public',
      is_organization: detail.namespaceKind === 'organization',
      is_starred: detail.starred,
      status_token: repository.visibility === 'public' ? '' : statusToken(services, repository.id),
      trust_enabled: false,
      tag_expiration_s: tagExpirationSeconds(services, detail.tagWindowMs),
      is_free_account: true,
      state: repository.state,
      ...(query.includeTags && { tags: Object.fromEntries(detail.tags.map((tag) => [tag.name, tagView(tag)])) }),
      can_write: holdsRepositoryRole(repositoryRole, 'write'),
      can_admin: holdsRepositoryRole(repositoryRole, 'admin'),
      ...(query.includeStats && {
        stats: detail.pullsPerDay.map(({ dayMs, count }) => ({ date: dayDate(dayMs), count })),
      }),
    })
  },
})

/** Lets the badge of a private repository be shown where its address is known. Says nothing that could be used elsewhere. */
function statusToken({ secretKey }: ApiServices, repositoryId: number): string {
  return createHmac('sha256', secretKey.reveal()).update(`longshore badge ${repositoryId}`).digest('hex').slice(0, 32)
}

function tagView(tag: TagSummary) {
  return {
    name: tag.name,
    size: tag.sizeBytes,
    last_modified: mailDate(tag.startMs),
    ...(tag.expiresMs !== null && { expiration: mailDate(tag.expiresMs) }),
    manifest_digest: tag.digest,
  }
}

/** PUT /api/v1/repository/{repository}. */
const updateRepo = restRoute({
  method: 'PUT',
  path: '/api/v1/repository/{repository}',
  operationId: 'updateRepo',
  tag: 'repository',
  summary: 'Changes the description of a repository',
  access: { kind: 'repository', role: 'write' },
  scope: 'repo:write',
  body: Type.Object({ description: Type.String() }, { $id: 'RepoUpdate' }),
  answers: { 200: { describe: 'Changed', schema: Success } },
  async handle({ services }, { repository, body, doing }) {
    const change = { repositoryId: repository.id, description: body.description, doing }
    await services.db.transaction(describeRepository, change)
    return answer(200, { success: true })
  },
})

/** DELETE /api/v1/repository/{repository}. One that is not there, where the caller could have it, is as good as deleted. */
const deleteRepo = restRoute({
  method: 'DELETE',
  path: '/api/v1/repository/{repository}',
  operationId: 'deleteRepository',
  tag: 'repository',
  summary: 'Deletes a repository with everything in it',
  access: { kind: 'signed-in' },
  scope: 'repo:admin',
  answers: { 204: { describe: 'Deleted' } },
  async handle(context, { caller, params, doing }) {
    const path = params['repository'] ?? ''
    const { repository, repositoryRole, namespaceRole } = await resolve(context, caller, path)
    const cap = caller.caps.repository
    if (repository === undefined) {
      if (holdsTeamRole(namespaceRole, 'admin') && holdsRepositoryRole(cap, 'admin')) return empty(204)
      throw refusalFor(caller)
    }
    if (!holdsRepositoryRole(repositoryRole, 'admin') || !holdsRepositoryRole(cap, 'admin')) throw refusalFor(caller)
    await context.services.db.transaction(deleteRepository, { repositoryId: repository.id, doing })
    return empty(204)
  },
})

/** POST /api/v1/repository/{repository}/changevisibility. */
const changeVisibility = restRoute({
  method: 'POST',
  path: '/api/v1/repository/{repository}/changevisibility',
  operationId: 'changeRepoVisibility',
  tag: 'repository',
  summary: 'Makes a repository public or private',
  access: { kind: 'repository', role: 'admin' },
  scope: 'repo:admin',
  body: Type.Object({ visibility: Visibility }, { $id: 'ChangeVisibility' }),
  answers: { 200: { describe: 'Changed', schema: Success } },
  async handle({ services }, { repository, body, doing }) {
    await services.db.transaction(setVisibility, { repositoryId: repository.id, visibility: body.visibility, doing })
    return answer(200, { success: true })
  },
})

/** PUT /api/v1/repository/{repository}/changestate. */
const changeState = restRoute({
  method: 'PUT',
  path: '/api/v1/repository/{repository}/changestate',
  operationId: 'changeRepoState',
  tag: 'repository',
  summary: 'Says whether a repository takes pushes',
  access: { kind: 'repository', role: 'admin' },
  scope: 'repo:admin',
  body: Type.Object({ state: RepositoryState }, { $id: 'ChangeRepoState' }),
  answers: { 200: { describe: 'Changed', schema: Success } },
  async handle({ services }, { repository, body, doing }) {
    if (body.state === 'MIRROR') {
      const detail = 'This release has no mirroring, so the state MIRROR would only keep everybody from pushing.'
      throw new RestRefusal(() => json(400, { detail }))
    }
    await services.db.transaction(setState, { repositoryId: repository.id, state: body.state, doing })
    return answer(200, { success: true })
  },
})

export const repositoryRoutes = [createRepo, getRepo, updateRepo, deleteRepo, changeVisibility, changeState]
