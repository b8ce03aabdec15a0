import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import {
  approveServiceKey,
  changeServiceKey,
  createServiceKey,
  deleteServiceKey,
  findServiceKey,
  listServiceKeys,
  newKeyPair,
  type ServiceKey,
} from '../service-keys/service-keys.ts'
import { httpDate } from './quay-dates.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import { superuserOnly } from './superuser-user.routes.ts'

const Moment = Type.Union([Type.String(), Type.Null()])
const AnyObject = Type.Record(Type.Unknown())
const Expiration = Type.Union([Type.Number(), Type.Null()])

const ServiceKeyView = Type.Object(
  {
    name: Type.String(),
    kid: Type.String(),
    service: Type.String(),
    jwk: AnyObject,
    metadata: AnyObject,
    created_date: Type.String(),
    expiration_date: Moment,
    rotation_duration: Type.Union([Type.Integer(), Type.Null()]),
    approval: Type.Union([
      Type.Null(),
      Type.Object({
        approver: Type.Union([
          Type.Null(),
          Type.Object({ name: Type.String(), username: Type.String(), kind: Type.String() }),
        ]),
        approval_type: Type.String(),
        approved_date: Type.String(),
        notes: Type.String(),
      }),
    ]),
  },
  { $id: 'ServiceKey' },
)

function view(key: ServiceKey) {
  const { approver, approvedMs, approvalType, approvalNotes } = key
  return {
    name: key.name,
    kid: key.kid,
    service: key.service,
    jwk: JSON.parse(key.jwk),
    metadata: JSON.parse(key.metadata),
    created_date: httpDate(key.createdMs),
    expiration_date: key.expiresMs === null ? null : httpDate(key.expiresMs),
    rotation_duration: key.rotationMs === null ? null : key.rotationMs / 1000,
    approval:
      approvedMs === null
        ? null
        : {
            approver: approver === null ? null : { name: approver, username: approver, kind: 'user' },
            approval_type: approvalType ?? '',
            approved_date: httpDate(approvedMs),
            notes: approvalNotes,
          },
  }
}

const looks = { kind: 'superuser', readOnlySuperuser: true } as const
const changes = { kind: 'superuser' } as const

/** GET /api/v1/superuser/keys. */
const list = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/keys',
  operationId: 'listServiceKeys',
  summary: 'Keys of other services',
  access: looks,
  answers: { 200: { describe: 'Them', schema: Type.Object({ keys: Type.Array(ServiceKeyView) }) } },
  async handle({ services }) {
    const keys = await services.db.read(listServiceKeys, undefined)
    return answer(200, { keys: keys.map(view) })
  },
})

/** POST /api/v1/superuser/keys. The private half is in the answer and nowhere else. */
const create = restRoute({
  ...superuserOnly,
  method: 'POST',
  path: '/api/v1/superuser/keys',
  operationId: 'createServiceKey',
  summary: 'Makes a key pair for another service',
  access: changes,
  freshLogin: true,
  body: Type.Object(
    {
      service: Type.String(),
      expiration: Expiration,
      name: Type.Optional(Type.String()),
      metadata: Type.Optional(AnyObject),
      notes: Type.Optional(Type.String()),
    },
    { $id: 'CreateServiceKey' },
  ),
  answers: {
    200: {
      describe: 'The key pair',
      schema: Type.Object({
        kid: Type.String(),
        name: Type.String(),
        service: Type.String(),
        public_key: Type.String(),
        private_key: Type.String(),
      }),
    },
  },
  async handle({ services }, { caller, body, doing }) {
    const { kid, jwk, publicPem, privatePem } = await newKeyPair()
    const { service, name = '', notes = '' } = body
    await services.db.transaction(createServiceKey, {
      kid,
      jwk,
      service,
      name,
      notes,
      metadata: JSON.stringify(body.metadata ?? {}),
      expiresMs: body.expiration === null ? null : body.expiration * 1000,
      namespaceId: caller.namespaceId,
      doing,
    })
    return answer(200, { kid, name, service, public_key: publicPem, private_key: privatePem })
  },
})

/** GET /api/v1/superuser/keys/{kid}. */
const get = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/keys/{kid}',
  operationId: 'getServiceKey',
  summary: 'One key',
  access: looks,
  answers: { 200: { describe: 'It', schema: ServiceKeyView } },
  async handle({ services }, { params }) {
    const key = await services.db.read(findServiceKey, { kid: params['kid'] ?? '' })
    if (key === undefined) throw refuse('NOT_FOUND')
    return answer(200, view(key))
  },
})

/** PUT /api/v1/superuser/keys/{kid}. */
const put = restRoute({
  ...superuserOnly,
  method: 'PUT',
  path: '/api/v1/superuser/keys/{kid}',
  operationId: 'updateServiceKey',
  summary: 'Changes name, metadata or expiration of a key',
  access: changes,
  freshLogin: true,
  body: Type.Object(
    {
      name: Type.Optional(Type.String()),
      metadata: Type.Optional(AnyObject),
      expiration: Type.Optional(Expiration),
    },
    { $id: 'PutServiceKey' },
  ),
  answers: { 200: { describe: 'The key', schema: ServiceKeyView } },
  async handle({ services }, { caller, params, body, doing }) {
    const { expiration } = body
    const key = await services.db.transaction(changeServiceKey, {
      kid: params['kid'] ?? '',
      namespaceId: caller.namespaceId,
      ...(body.name !== undefined && { name: body.name }),
      ...(body.metadata !== undefined && { metadata: JSON.stringify(body.metadata) }),
      ...(expiration !== undefined && { expiresMs: expiration === null ? null : expiration * 1000 }),
      doing,
    })
    return answer(200, view(key))
  },
})

/** DELETE /api/v1/superuser/keys/{kid}. */
const remove = restRoute({
  ...superuserOnly,
  method: 'DELETE',
  path: '/api/v1/superuser/keys/{kid}',
  operationId: 'deleteServiceKey',
  summary: 'Deletes a key',
  access: changes,
  freshLogin: true,
  answers: { 204: { describe: 'Deleted' } },
  async handle({ services }, { caller, params, doing }) {
    const change = { kid: params['kid'] ?? '', namespaceId: caller.namespaceId, doing }
    await services.db.transaction(deleteServiceKey, change)
    return empty(204)
  },
})

/** POST /api/v1/superuser/approvedkeys/{kid}. */
const approve = restRoute({
  ...superuserOnly,
  method: 'POST',
  path: '/api/v1/superuser/approvedkeys/{kid}',
  operationId: 'approveServiceKey',
  summary: 'Lets a key count',
  access: changes,
  freshLogin: true,
  body: Type.Object({ notes: Type.Optional(Type.String({ maxLength: 4096 })) }, { $id: 'ApproveServiceKey' }),
  answers: { 201: { describe: 'Approved' } },
  async handle({ services }, { caller, params, body, doing }) {
    const change = { kid: params['kid'] ?? '', namespaceId: caller.namespaceId, notes: body.notes ?? '', doing }
    await services.db.transaction(approveServiceKey, change)
    return empty(201, { 'Content-Type': 'text/html; charset=utf-8' })
  },
})

export const serviceKeyRoutes = [list, create, get, put, remove, approve]
