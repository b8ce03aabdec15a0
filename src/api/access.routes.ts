import { isRobotElsewhere } from '../accounts/robots.ts'
import { capRepositoryRole, holdsTeamRole } from '../accounts/roles.ts'
import { accessSettings, explainSubject } from '../auth/explanation.ts'
import { isReadableName } from '../oci/name.ts'
import { refuse } from '../platform/errors.ts'
import { Type } from '../platform/schema.ts'
import { splitPath } from '../repositories/repositories.ts'
import { answer, refusalFor, resolve } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'

const Role = Type.Union([Type.Literal('read'), Type.Literal('write'), Type.Literal('admin'), Type.Null()])

const AccessExplanation = Type.Object(
  {
    subject: Type.String(),
    repository: Type.String(),
    role: Role,
    rights: Type.Object({
      pull: Type.Boolean(),
      push: Type.Boolean(),
      admin: Type.Boolean(),
      create: Type.Boolean(),
    }),
    paths: Type.Array(Type.Object({ via: Type.String(), role: Role, explanation: Type.String() })),
  },
  { $id: 'AccessExplanation' },
)

/**
 * GET /api/v1/repository/{repository}/access/{subject}. For who administers the repository, or would if it existed, and
 * for superusers. Not in Quay.
 */
const explainAccess = restRoute({
  method: 'GET',
  path: '/api/v1/repository/{repository}/access/{subject}',
  operationId: 'explainAccess',
  tag: 'permission',
  summary: 'Why a user or robot account (or @anonymous) may or may not use a repository',
  access: { kind: 'signed-in' },
  scope: 'repo:admin',
  answers: { 200: { describe: 'Every path that grants or denies', schema: AccessExplanation } },
  async handle(context, { caller, params }) {
    const { db, config } = context.services
    const path = params['repository'] ?? ''
    const { repository, repositoryRole, namespaceRole } = await resolve(context, caller, path)
    const { standing, caps } = caller
    const isSuperuser = caps.superuser && (standing.superuser || standing.readsAll)
    const administers =
      repository === undefined
        ? holdsTeamRole(namespaceRole, 'admin') && caps.repository === 'admin' && isReadableName(path)
        : capRepositoryRole(repositoryRole, caps.repository) === 'admin'
    if (!isSuperuser && !administers) throw refusalFor(caller)
    const subject = params['subject'] ?? ''
    const unseen = !isSuperuser && isRobotElsewhere(subject, undefined, { id: 0, name: splitPath(path).namespace })
    const asked = { subject, path, settings: accessSettings(config, subject) }
    const explained = unseen ? undefined : await db.read(explainSubject, asked)
    if (explained === undefined) throw refuse('NOT_FOUND', {}, `There is no user or robot account ${subject}.`)
    return answer(200, explained)
  },
})

export const accessRoutes = [explainAccess]
