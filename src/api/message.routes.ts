import { randomUUID } from 'node:crypto'
import { createMessage, deleteMessage, listMessages } from '../messages/messages.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { answer } from './rest-edge.ts'
import { problem } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'

const Severity = Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('error')])
const MediaType = Type.Union([Type.Literal('text/plain'), Type.Literal('text/markdown')])

const GlobalMessage = Type.Object(
  { uuid: Type.String(), content: Type.String(), severity: Severity, media_type: MediaType },
  { $id: 'GlobalMessage' },
)

/** Quay refuses these two in the shape of its framework. */
const superusers = { kind: 'superuser', refusal: 'message' } as const

/** GET /api/v1/messages. What the operators tell everybody. */
const list = restRoute({
  method: 'GET',
  path: '/api/v1/messages',
  operationId: 'getGlobalMessages',
  tag: 'globalmessages',
  summary: 'What the operators tell everybody',
  access: { kind: 'anyone' },
  answers: { 200: { describe: 'It', schema: Type.Object({ messages: Type.Array(GlobalMessage) }) } },
  async handle({ services }) {
    const messages = await services.db.read(listMessages, undefined)
    const views = messages.map(({ uuid, content, severity, mediaType }) => ({
      uuid,
      content,
      severity,
      media_type: mediaType,
    }))
    return answer(200, { messages: views })
  },
})

/** POST /api/v1/messages. */
const create = restRoute({
  method: 'POST',
  path: '/api/v1/messages',
  operationId: 'createGlobalMessage',
  tag: 'globalmessages',
  summary: 'Tells everybody something',
  access: superusers,
  scope: 'super:user',
  freshLogin: true,
  isOn: (config) => config.accounts.superUsersEnabled,
  body: Type.Object(
    {
      message: Type.Optional(Type.Object({ content: Type.String(), media_type: MediaType, severity: Severity })),
    },
    { $id: 'CreateMessage' },
  ),
  answers: { 201: { describe: 'Everybody sees it' } },
  async handle({ services }, { caller, body, doing }) {
    if (body.message === undefined) throw problem('invalid_request', 'The body has no message.')
    const { content, media_type: mediaType, severity } = body.message
    const message = { uuid: randomUUID(), content, mediaType, severity }
    await services.db.transaction(createMessage, { message, namespaceId: caller.namespaceId, doing })
    return empty(201, { 'Content-Type': 'text/html; charset=utf-8' })
  },
})

/** DELETE /api/v1/message/{uuid}. */
const remove = restRoute({
  method: 'DELETE',
  path: '/api/v1/message/{uuid}',
  operationId: 'deleteGlobalMessage',
  tag: 'globalmessages',
  summary: 'Takes back what everybody was told',
  access: superusers,
  scope: 'super:user',
  freshLogin: true,
  isOn: (config) => config.accounts.superUsersEnabled,
  answers: { 204: { describe: 'Nobody sees it any more' } },
  async handle({ services }, { caller, params, doing }) {
    const change = { uuid: params['uuid'] ?? '', namespaceId: caller.namespaceId, doing }
    await services.db.transaction(deleteMessage, change)
    return empty(204)
  },
})

export const messageRoutes = [list, create, remove]
