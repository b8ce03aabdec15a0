import {
  createRobot,
  deleteRobot,
  getRobot,
  hashSecretText,
  listRobotGrants,
  listRobots,
  newSecretText,
  type Robot,
  regenerateRobot,
  robotSealContext,
} from '../accounts/robots.ts'
import { holdsTeamRole, holdsUserRole } from '../accounts/roles.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { type Schema, Type } from '../platform/schema.ts'
import { Seal } from '../platform/seal.ts'
import { Avatar } from './avatar.ts'
import { mapInTurns, rememberedTeams } from './long-list.ts'
import { mailDate, mailDateOrNull } from './quay-dates.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal } from './rest-errors.ts'
import { flag, optionalInteger } from './rest-query.ts'
import { type AnyRestRoute, type RestAccess, type RestRequest, restRoute } from './rest-route.ts'
import { credentialForms } from './robot-credentials.ts'
import type { ApiServices } from './services.ts'
import { RobotRepoPermission } from './team.routes.ts'

const Moment = Type.Union([Type.String(), Type.Null()])

const RobotView = Type.Object(
  {
    name: Type.String(),
    created: Moment,
    last_accessed: Moment,
    description: Type.String(),
    token: Type.Optional(Type.String()),
    unstructured_metadata: Type.Optional(Type.Union([Type.Record(Type.Unknown()), Type.Null()])),
  },
  { $id: 'Robot' },
)

const RobotListItem = Type.Object(
  {
    name: Type.String(),
    created: Moment,
    last_accessed: Moment,
    description: Type.String(),
    token: Type.Optional(Type.String()),
    teams: Type.Optional(Type.Array(Type.Object({ name: Type.String(), avatar: Avatar }))),
    repositories: Type.Optional(Type.Array(Type.String())),
  },
  { $id: 'RobotListItem' },
)

const CreateRobot = Type.Object(
  {
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    unstructured_metadata: Type.Optional(Type.Union([Type.Record(Type.Unknown()), Type.Null()])),
  },
  { $id: 'CreateRobot' },
)

/** What robot tokens are sealed for. */
const ROBOT_SEAL = 'robot tokens'

/** To be made once for all tokens of a request: a key has to be derived for it. */
function robotSeal({ databaseSecretKey }: ApiServices): Seal {
  return new Seal(databaseSecretKey.reveal(), ROBOT_SEAL)
}

/** The token of a robot account, to be shown to its owner. */
function robotToken(seal: Seal, robot: Robot): string {
  const sealed = robot.secretSealed
  const opened =
    sealed === null ? undefined : seal.open(sealed, robotSealContext(robot.namespaceId, shortNameOf(robot.name)))
  if (opened === undefined) throw new Error(`The token of ${robot.name} was sealed under another DATABASE_SECRET_KEY`)
  return Buffer.from(opened).toString('utf8')
}

function shortNameOf(name: string): string {
  return name.slice(name.indexOf('+') + 1)
}

function newToken(services: ApiServices, namespaceId: number, shortName: string) {
  const secret = newSecretText()
  return {
    secretHash: hashSecretText(secret),
    secretSealed: robotSeal(services).close(Buffer.from(secret), robotSealContext(namespaceId, shortName)),
  }
}

/** With its token if it is given what opens that. */
function robotView(robot: Robot, seal: Seal | undefined) {
  return {
    name: robot.name,
    created: mailDate(robot.createdMs),
    last_accessed: mailDateOrNull(robot.lastAccessedMs),
    description: robot.description,
    ...(seal !== undefined && { token: robotToken(seal, robot) }),
  }
}

type Request = Pick<RestRequest<never, never>, 'caller' | 'namespace' | 'namespaceRole' | 'params'>

/** Robot accounts of the caller, and those of an organization: the same calls at two addresses. */
interface Place {
  readonly base: string
  readonly names: (suffix: 'Robots' | 'Robot' | 'RobotPermissions' | 'RobotToken' | 'RobotCredentials') => string
  readonly scope: 'user:admin' | 'org:admin'
  readonly list: RestAccess
  readonly look: RestAccess
  readonly change: RestAccess
  readonly owner: (request: Pick<Request, 'caller' | 'namespace'>) => { namespaceId: number; owner: string }
  /** Whether the caller may see tokens and rights in a list. */
  readonly seesAll: (request: Pick<Request, 'namespaceRole'>) => boolean
}

const own: Place = {
  base: '/api/v1/user/robots',
  names: (suffix) => `User${suffix}`,
  scope: 'user:admin',
  list: { kind: 'user', role: 'admin' },
  look: { kind: 'user', role: 'admin' },
  change: { kind: 'user', role: 'admin' },
  owner: ({ caller }) => ({ namespaceId: caller.namespaceId, owner: caller.name }),
  seesAll: () => true,
}

const ofOrganization: Place = {
  base: '/api/v1/organization/{orgname}/robots',
  names: (suffix) => `Org${suffix}`,
  scope: 'org:admin',
  list: { kind: 'organization', role: 'member', readOnlySuperuser: true },
  look: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  change: { kind: 'organization', role: 'admin' },
  owner: ({ namespace }) => ({ namespaceId: namespace.id, owner: namespace.name }),
  seesAll: ({ namespaceRole }) => holdsTeamRole(namespaceRole, 'admin'),
}

function routesAt(place: Place): AnyRestRoute[] {
  const { base, names, scope, owner, seesAll } = place
  const robotIn = (request: Request) => ({ ...owner(request), shortName: request.params['robot_shortname'] ?? '' })
  const common = { tag: 'robot', scope }

  /** GET …/robots. Who does not administer the organization sees names only. */
  const list = restRoute({
    ...common,
    method: 'GET',
    path: base,
    operationId: `get${names('Robots')}`,
    summary: 'Robot accounts',
    access: place.list,
    query: {
      permissions: flag('With their teams and repositories'),
      token: flag('With their tokens', true),
      limit: optionalInteger('How many at most', { min: 1, max: 10_000 }),
    },
    answers: { 200: { describe: 'Them', schema: Type.Object({ robots: Type.Array(RobotListItem) }) } },
    async handle({ services }, request) {
      const { query } = request
      const sees = seesAll(request)
      const robots = await services.db.scan(listRobots, {
        namespaceId: owner(request).namespaceId,
        withPermissions: query.permissions && sees,
        ...(query.limit !== undefined && { limit: query.limit }),
      })
      const seal = query.token && sees ? robotSeal(services) : undefined
      const teamView = rememberedTeams(services)
      const views = await mapInTurns(robots, (robot) => ({
        ...robotView(robot, seal),
        ...(query.permissions && sees && { teams: robot.teams.map(teamView), repositories: robot.repositories }),
      }))
      return answer(200, { robots: views })
    },
  })

  /** GET …/robots/{robot_shortname}. */
  const get = restRoute({
    ...common,
    method: 'GET',
    path: `${base}/{robot_shortname}`,
    operationId: `get${names('Robot')}`,
    summary: 'A robot account with its token',
    access: place.look,
    answers: { 200: { describe: 'It', schema: RobotView } },
    async handle({ services }, request) {
      const robot = await services.db.read(getRobot, robotIn(request))
      const view = robotView(robot, seesAll(request) ? robotSeal(services) : undefined)
      return answer(200, { ...view, unstructured_metadata: robot.metadata })
    },
  })

  /** PUT …/robots/{robot_shortname}. Creates it; a second time is refused. */
  const put = restRoute({
    ...common,
    method: 'PUT',
    path: `${base}/{robot_shortname}`,
    operationId: `create${names('Robot')}`,
    summary: 'Creates a robot account',
    access: place.change,
    body: CreateRobot as Schema,
    bodyOptional: true,
    answers: { 201: { describe: 'It, with its token', schema: RobotView } },
    async handle({ services }, request) {
      const { namespaceId, owner: ownerName } = owner(request)
      const shortName = request.params['robot_shortname'] ?? ''
      const body = request.body as { description?: string | null; unstructured_metadata?: object | null }
      const robot = await services.db.transaction(createRobot, {
        namespaceId,
        owner: ownerName,
        shortName,
        description: body.description ?? '',
        metadata: JSON.stringify(body.unstructured_metadata ?? {}),
        ...newToken(services, namespaceId, shortName),
        doing: request.doing,
      })
      const view = robotView(robot, robotSeal(services))
      return answer(201, { ...view, unstructured_metadata: robot.metadata })
    },
  })

  /** DELETE …/robots/{robot_shortname}. */
  const remove = restRoute({
    ...common,
    method: 'DELETE',
    path: `${base}/{robot_shortname}`,
    operationId: `delete${names('Robot')}`,
    summary: 'Deletes a robot account',
    access: place.change,
    answers: { 204: { describe: 'Deleted' } },
    async handle({ services }, request) {
      await services.db.transaction(deleteRobot, { ...robotIn(request), doing: request.doing })
      return empty(204)
    },
  })

  /** GET …/robots/{robot_shortname}/permissions. */
  const permissions = restRoute({
    ...common,
    scope: 'user:admin',
    method: 'GET',
    path: `${base}/{robot_shortname}/permissions`,
    operationId: `get${names('RobotPermissions')}`,
    summary: 'What repositories grant a robot account',
    access: place.change,
    answers: {
      200: { describe: 'The grants', schema: Type.Object({ permissions: Type.Array(RobotRepoPermission) }) },
    },
    async handle({ services }, request) {
      // Quay wants both: the role in the organization, and a credential that reaches into the account.
      if (!holdsUserRole(request.caller.caps.user, 'admin')) throw messageRefusal(403, 'Unauthorized')
      const grants = await services.db.scan(listRobotGrants, robotIn(request))
      const views = grants.map(({ repository, visibility, role }) => ({
        repository: { name: repository, is_public: visibility === 'public' },
        role,
      }))
      return answer(200, { permissions: views })
    },
  })

  /** POST …/robots/{robot_shortname}/regenerate. The old token stops working at once. */
  const regenerate = restRoute({
    ...common,
    method: 'POST',
    path: `${base}/{robot_shortname}/regenerate`,
    operationId: `regenerate${names('RobotToken')}`,
    summary: 'Gives a robot account another token',
    access: place.change,
    answers: { 200: { describe: 'It, with the new token', schema: RobotView } },
    async handle({ services }, request) {
      const robotName = robotIn(request)
      const token = newToken(services, robotName.namespaceId, robotName.shortName)
      const robot = await services.db.transaction(regenerateRobot, { ...robotName, ...token, doing: request.doing })
      return answer(200, robotView(robot, robotSeal(services)))
    },
  })

  /** GET …/robots/{robot_shortname}/credentials/{form}. The token in the form that a client takes; our own. */
  const credentials = restRoute({
    ...common,
    method: 'GET',
    path: `${base}/{robot_shortname}/credentials/{form}`,
    operationId: `get${names('RobotCredentials')}`,
    summary: `The token as a client takes it: ${Object.keys(credentialForms).join(', ')}`,
    access: place.change,
    answers: { 200: { describe: 'A text, or a file to keep', schema: Type.Unknown() } },
    async handle({ services }, request) {
      const form = request.params['form'] ?? ''
      const make = Object.hasOwn(credentialForms, form) ? credentialForms[form] : undefined
      if (make === undefined) throw refuse('NOT_FOUND')
      const robot = await services.db.read(getRobot, robotIn(request))
      const token = robotToken(robotSeal(services), robot)
      const file = make({ name: robot.name, token, host: services.hostname() })
      const attachment = { 'Content-Disposition': `attachment; filename="${file.fileName ?? ''}"` }
      return {
        status: 200,
        headers: {
          'Content-Type': file.contentType,
          'Content-Length': Buffer.byteLength(file.content),
          'Cache-Control': 'no-store',
          ...(file.fileName !== undefined && attachment),
        },
        body: file.content,
      }
    },
  })

  return [list, get, put, remove, permissions, regenerate, credentials]
}

export const robotRoutes = [...routesAt(own), ...routesAt(ofOrganization)]
