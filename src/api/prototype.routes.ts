import { randomUUID } from 'node:crypto'
import {
  changeDefaultPermission,
  createDefaultPermission,
  type DefaultPermission,
  deleteDefaultPermission,
  listDefaultPermissions,
} from '../organizations/default-permissions.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const RepositoryRole = Type.Union([Type.Literal('read'), Type.Literal('write'), Type.Literal('admin')])

/** Of a robot account two names and the sign between them. */
const AccountName = Type.String({ maxLength: 511 })

const PrototypeUser = Type.Object({
  name: Type.String(),
  is_robot: Type.Boolean(),
  kind: Type.Literal('user'),
  is_org_member: Type.Boolean(),
  avatar: Avatar,
})

const Prototype = Type.Object(
  {
    id: Type.String(),
    role: RepositoryRole,
    activating_user: Type.Union([PrototypeUser, Type.Null()]),
    delegate: Type.Union([
      PrototypeUser,
      Type.Object({ name: Type.String(), kind: Type.Literal('team'), avatar: Avatar }),
    ]),
  },
  { $id: 'Prototype' },
)

function prototypeView(services: ApiServices, rule: DefaultPermission) {
  const user = (name: string, kind: 'user' | 'robot' | null, email: string | null, isMember: number) => ({
    name,
    is_robot: kind === 'robot',
    kind: 'user',
    // A robot account belongs to its organization.
    is_org_member: isMember > 0 || kind === 'robot',
    avatar: avatarOf(services, kind ?? 'user', name, email),
  })
  return {
    id: rule.uuid,
    role: rule.role,
    activating_user:
      rule.creator === null ? null : user(rule.creator, rule.creatorKind, rule.creatorEmail, rule.creatorIsMember),
    delegate:
      rule.team === null
        ? user(rule.account ?? '', rule.accountKind, rule.accountEmail, rule.accountIsMember)
        : { name: rule.team, kind: 'team', avatar: avatarOf(services, 'team', rule.team) },
  }
}

/** GET /api/v1/organization/{orgname}/prototypes. */
const getPrototypes = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}/prototypes',
  operationId: 'getOrganizationPrototypePermissions',
  tag: 'prototype',
  summary: 'The default permissions of an organization',
  access: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  scope: 'org:admin',
  answers: { 200: { describe: 'The rules', schema: Type.Object({ prototypes: Type.Array(Prototype) }) } },
  async handle({ services }, { namespace }) {
    const rules = await services.db.scan(listDefaultPermissions, { namespaceId: namespace.id })
    return answer(200, { prototypes: rules.map((rule) => prototypeView(services, rule)) })
  },
})

/** POST /api/v1/organization/{orgname}/prototypes. */
const postPrototype = restRoute({
  method: 'POST',
  path: '/api/v1/organization/{orgname}/prototypes',
  operationId: 'createOrganizationPrototypePermission',
  tag: 'prototype',
  summary: 'Adds a default permission: what new repositories grant by themselves',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  body: Type.Object(
    {
      role: RepositoryRole,
      activating_user: Type.Optional(Type.Union([Type.Object({ name: AccountName }), Type.Null()])),
      delegate: Type.Object({ name: AccountName, kind: Type.Union([Type.Literal('user'), Type.Literal('team')]) }),
    },
    { $id: 'NewPrototype' },
  ),
  answers: { 200: { describe: 'The rule', schema: Prototype } },
  async handle({ services }, { namespace, body, doing }) {
    const { activating_user: creator, delegate, role } = body
    const rule = await services.db.transaction(createDefaultPermission, {
      uuid: randomUUID(),
      namespaceId: namespace.id,
      ...(creator && { creator: creator.name }),
      delegate: { kind: delegate.kind, name: delegate.name },
      role,
      doing,
    })
    return answer(200, prototypeView(services, rule))
  },
})

/** PUT /api/v1/organization/{orgname}/prototypes/{prototypeid}. */
const putPrototype = restRoute({
  method: 'PUT',
  path: '/api/v1/organization/{orgname}/prototypes/{prototypeid}',
  operationId: 'updateOrganizationPrototypePermission',
  tag: 'prototype',
  summary: 'Changes the role that a default permission grants',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  body: Type.Object({ role: RepositoryRole }, { $id: 'PrototypeUpdate' }),
  answers: { 200: { describe: 'The rule', schema: Prototype } },
  async handle({ services }, { namespace, params, body, doing }) {
    const rule = await services.db.transaction(changeDefaultPermission, {
      namespaceId: namespace.id,
      uuid: params['prototypeid'] ?? '',
      role: body.role,
      doing,
    })
    return answer(200, prototypeView(services, rule))
  },
})

/** DELETE /api/v1/organization/{orgname}/prototypes/{prototypeid}. */
const deletePrototype = restRoute({
  method: 'DELETE',
  path: '/api/v1/organization/{orgname}/prototypes/{prototypeid}',
  operationId: 'deleteOrganizationPrototypePermission',
  tag: 'prototype',
  summary: 'Removes a default permission; what it has granted stays',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 204: { describe: 'Removed' } },
  async handle({ services }, { namespace, params, doing }) {
    await services.db.transaction(deleteDefaultPermission, {
      namespaceId: namespace.id,
      uuid: params['prototypeid'] ?? '',
      doing,
    })
    return empty(204)
  },
})

export const prototypeRoutes = [getPrototypes, postPrototype, putPrototype, deletePrototype]
