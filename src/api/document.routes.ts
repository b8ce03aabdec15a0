import { Type } from '../platform/schema.ts'
import { version } from '../platform/version.ts'
import { documentedRoutes, openApiDocument, swaggerDocument } from './openapi.ts'
import type { RestCaller } from './rest-caller.ts'
import { answer } from './rest-edge.ts'
import { flag } from './rest-query.ts'
import type { AnyRestRoute } from './rest-route.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const AnyObject = Type.Record(Type.Unknown())

/** Both documents show what is switched on here. `all` is the list that these routes are part of. */
export function documentRoutes(all: () => readonly AnyRestRoute[]): readonly AnyRestRoute[] {
  return [
    /** GET /api/v1/discovery. The API as Swagger 2.0, for swagger-ui and clients that are made from it. */
    restRoute({
      method: 'GET',
      path: '/api/v1/discovery',
      operationId: 'discovery',
      tag: 'discovery',
      summary: 'The API as a Swagger 2.0 document',
      access: { kind: 'anyone' },
      alwaysOpen: true,
      query: { internal: flag('Also what is not made for everybody') },
      answers: { 200: { describe: 'The document', schema: AnyObject } },
      async handle({ services }, { caller, query }) {
        return answer(200, swaggerDocument(documentFor(services, caller, all(), query.internal)))
      },
    }),
    /** GET /api/v1/openapi.json. The API as OpenAPI 3.1. */
    restRoute({
      method: 'GET',
      path: '/api/v1/openapi.json',
      operationId: 'getOpenApiDocument',
      tag: 'discovery',
      summary: 'The API as an OpenAPI 3.1 document',
      access: { kind: 'anyone' },
      alwaysOpen: true,
      answers: { 200: { describe: 'The document', schema: AnyObject } },
      async handle({ services }, { caller }) {
        return answer(200, openApiDocument(documentFor(services, caller, all(), true)))
      },
    }),
  ]
}

function documentFor(services: ApiServices, caller: RestCaller, all: readonly AnyRestRoute[], internal: boolean) {
  const { config } = services
  const on = all.filter((route) => route.isOn?.(config) ?? true)
  const { superuser, readsAll } = caller.standing
  return {
    server: { scheme: config.server.urlScheme, host: services.hostname() },
    title: config.api.title,
    version: version(),
    routes: documentedRoutes(on, { internal, superuser: (superuser || readsAll) && caller.caps.superuser }),
  }
}
