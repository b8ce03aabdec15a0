import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { findRegistrySize, queueRegistrySize } from '../blobs/registry-size.ts'
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

export const superuserRegistryRoutes = [getSize, queueSize, changelog]
