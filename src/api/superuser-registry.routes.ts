import { readFile } from 'node:fs/promises'
import { findRegistrySize, queueRegistrySize } from '../blobs/registry-size.ts'
import { configSchema } from '../platform/config/schema.ts'
import { Type } from '../platform/schema.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import { superuserOnly } from './superuser-user.routes.ts'

/** GET /api/v1/superuser/registrysize/. */
const getSize = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/registrysize/',
  operationId: 'getRegistrySize',
  summary: 'How large the registry was when it was counted last',
  access: { kind: 'superuser', readOnlySuperuser: true },
  freshLogin: true,
  answers: {
    200: {
      describe: 'The size',
      schema: Type.Object({
        size_bytes: Type.Integer(),
        last_ran: Type.Union([Type.Integer(), Type.Null()]),
        queued: Type.Boolean(),
        running: Type.Boolean(),
      }),
    },
  },
  async handle({ services }, { doing }) {
    const { sizeBytes, countedMs, queued, running } = await services.db.read(findRegistrySize, { nowMs: doing.nowMs })
    return answer(200, { size_bytes: sizeBytes, last_ran: countedMs, queued, running })
  },
})

/** POST /api/v1/superuser/registrysize/. */
const queueSize = restRoute({
  ...superuserOnly,
  method: 'POST',
  path: '/api/v1/superuser/registrysize/',
  operationId: 'queueRegistrySizeCalculation',
  summary: 'Has the registry counted again',
  access: { kind: 'superuser' },
  freshLogin: true,
  answers: {
    201: { describe: 'It will be counted', schema: Type.String() },
    202: { describe: 'It is about to be counted already', schema: Type.String() },
  },
  async handle({ services }, { doing }) {
    const queued = await services.db.transaction(queueRegistrySize, { nowMs: doing.nowMs })
    return answer(queued ? 201 : 202, '')
  },
})

/** GET /api/v1/superuser/changelog/. */
const changelog = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/changelog/',
  operationId: 'getChangeLog',
  summary: 'What has changed from release to release',
  access: { kind: 'superuser', readOnlySuperuser: true },
  freshLogin: true,
  answers: { 200: { describe: 'Markdown', schema: Type.Object({ log: Type.String() }) } },
  async handle() {
    return answer(200, { log: await readFile(new URL('../../CHANGELOG.md', import.meta.url), 'utf8') })
  },
})

const AnyObject = Type.Record(Type.Unknown())

/** GET /api/v1/superuser/config. What this process was started with; every secret in it is `***`. */
const configuration = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/config',
  operationId: 'getConfiguration',
  summary: 'The configuration without its secrets, and where each value came from',
  access: { kind: 'superuser', readOnlySuperuser: true },
  freshLogin: true,
  isOn: ({ accounts }) => accounts.superUsersEnabled && accounts.superUserConfigDump,
  answers: {
    200: {
      describe:
        'Values by key; what has no effect, by its place; variables that gave values; the JSON Schema of the file',
      schema: Type.Object({ config: AnyObject, warning: AnyObject, env: AnyObject, schema: AnyObject }),
    },
  },
  async handle({ services }) {
    const { sources, warnings } = services.settings
    const fromEnvironment = sources.filter(({ source }) => source === 'environment')
    return answer(200, {
      config: Object.fromEntries(sources.map(({ key, shown }) => [key, shown ?? null])),
      warning: Object.fromEntries(warnings.map((sentence) => placeOf(sentence))),
      env: Object.fromEntries(fromEnvironment.map(({ key, where, shown }) => [where ?? key, shown ?? null])),
      schema: configSchema(),
    })
  },
})

/** `config.yaml:2:1: GC_GRACE: …` begins with where it stands. */
function placeOf(warning: string): [place: string, sentence: string] {
  const end = warning.indexOf(': ')
  return end < 0 ? ['', warning] : [warning.slice(0, end), warning.slice(end + 2)]
}

export const superuserRegistryRoutes = [getSize, queueSize, changelog, configuration]
