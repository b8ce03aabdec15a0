import { scopes } from '../oauth/scopes.ts'
import { type Json, openApiSchemas, type SchemaWriter, swaggerSchemas } from './api-schemas.ts'
import { problemStatuses } from './rest-errors.ts'
import type { AnyRestRoute } from './rest-route.ts'

export interface ApiDocument {
  /** Of the installation; absent for the document in the repository. */
  readonly server?: { readonly scheme: string; readonly host: string }
  readonly title: string
  readonly version: string
  readonly routes: readonly AnyRestRoute[]
}

const PREFIX = '/api/v1'

const DESCRIPTION =
  'The REST API of this registry. Call it with an OAuth access token (Authorization: Bearer), or with the session of a ' +
  'browser and the token of GET /csrf_token in X-CSRF-Token. A repository in a path is namespace/name; its slashes may be encoded.'

/** The OpenAPI 3.1 document of some routes. */
export function openApiDocument({ server, title, version, routes }: ApiDocument): Json {
  const schemas = openApiSchemas()
  const error = { description: 'A refusal', content: jsonContent({ $ref: '#/components/schemas/ApiError' }) }
  const paths = pathsOf(routes, (route) => ({
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    parameters: [
      ...pathParameters(route).map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...queryParameters(route).map(({ name, describe, schema }) => ({
        name,
        in: 'query',
        required: false,
        description: describe,
        schema: schemas.write(schema),
      })),
    ],
    ...(route.body !== undefined && {
      requestBody: { required: route.bodyOptional === undefined, content: jsonContent(schemas.write(route.body)) },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, { describe, schema }]) => [
          status,
          { description: describe, ...(schema !== undefined && { content: jsonContent(schemas.write(schema)) }) },
        ]),
      ),
      default: { $ref: '#/components/responses/Error' },
    },
    security: securityOf(route),
    ...extensionsOf(route),
  }))
  return {
    openapi: '3.1.0',
    info: { title, version, description: DESCRIPTION, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    ...(server !== undefined && { servers: [{ url: `${server.scheme}://${server.host}` }] }),
    tags: tagsOf(routes),
    paths,
    components: {
      schemas: { ...schemas.named, ApiError: errorSchema },
      responses: { Error: error },
      securitySchemes: {
        oauth2_implicit: {
          type: 'oauth2',
          flows: { implicit: { authorizationUrl: '/oauth/authorize', scopes: scopeTitles() } },
        },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}

/** The Swagger 2.0 document of some routes, as swagger-ui and clients of Quay load it. */
export function swaggerDocument({ server, title, version, routes }: ApiDocument): Json {
  const schemas = swaggerSchemas()
  const paths = pathsOf(routes, (route) => ({
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: route.summary,
    ...(route.body !== undefined && { consumes: ['application/json'] }),
    produces: ['application/json'],
    parameters: swaggerParameters(route, schemas),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, { describe, schema }]) => [
          status,
          { description: describe, ...(schema !== undefined && { schema: schemas.write(schema) }) },
        ]),
      ),
      ...Object.fromEntries(
        [400, 401, 403, 404].map((status) => [
          status,
          { description: 'A refusal', schema: { $ref: '#/definitions/ApiError' } },
        ]),
      ),
    },
    security: securityOf(route).filter((entry) => 'oauth2_implicit' in entry),
    ...extensionsOf(route),
  }))
  return {
    swagger: '2.0',
    ...(server !== undefined && { host: server.host, schemes: [server.scheme] }),
    basePath: '/',
    info: { title, version: 'v1', description: DESCRIPTION, 'x-version': version },
    securityDefinitions: {
      oauth2_implicit: {
        type: 'oauth2',
        flow: 'implicit',
        authorizationUrl:
          server === undefined ? '/oauth/authorize' : `${server.scheme}://${server.host}/oauth/authorize`,
        scopes: scopeTitles(),
      },
    },
    tags: tagsOf(routes),
    paths,
    definitions: { ...schemas.named, ApiError: errorSchema },
  }
}

/** What a document shows: without `internal`, only what is made for everybody. Calls of superusers are for superusers. */
export function documentedRoutes(
  routes: readonly AnyRestRoute[],
  view: { readonly internal: boolean; readonly superuser: boolean },
): AnyRestRoute[] {
  return routes.filter(
    (route) =>
      route.path.startsWith(PREFIX) &&
      (view.internal || route.internal === undefined) &&
      (view.superuser || route.access.kind !== 'superuser'),
  )
}

function pathsOf(routes: readonly AnyRestRoute[], operation: (route: AnyRestRoute) => Json): Json {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes.toSorted((left, right) =>
    left.path < right.path ? -1 : left.path > right.path ? 1 : 0,
  )) {
    const path = paths[route.path] ?? {
      'x-name': `${route.tag}.${route.path}`,
      'x-path': route.path,
      'x-tag': route.tag,
    }
    path[route.method.toLowerCase()] = operation(route)
    paths[route.path] = path
  }
  return paths
}

function swaggerParameters(route: AnyRestRoute, schemas: SchemaWriter): Json[] {
  return [
    ...pathParameters(route).map((name) => ({ name, in: 'path', required: true, type: 'string' })),
    ...queryParameters(route).map(({ name, describe, schema }) => {
      const { type = 'string', minimum, maximum, default: fallback } = schemas.write(schema)
      return { name, in: 'query', required: false, description: describe, type, minimum, maximum, default: fallback }
    }),
    ...(route.body === undefined
      ? []
      : [{ name: 'body', in: 'body', required: route.bodyOptional === undefined, schema: schemas.write(route.body) }]),
  ]
}

function extensionsOf(route: AnyRestRoute): Json {
  return {
    ...(route.internal !== undefined && { 'x-internal': true }),
    ...(route.freshLogin !== undefined && { 'x-requires-fresh-login': true }),
  }
}

function securityOf(route: AnyRestRoute): Json[] {
  const open = route.access.kind === 'anyone' || (route.access.kind === 'repository' && route.access.role === 'read')
  const scope = route.scope === undefined ? [] : [route.scope]
  return [...(open ? [{}] : []), { oauth2_implicit: scope }]
}

function tagsOf(routes: readonly AnyRestRoute[]): Json[] {
  return [...new Set(routes.map((route) => route.tag))].toSorted().map((name) => ({ name }))
}

function pathParameters({ path }: AnyRestRoute): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '')
}

function queryParameters({ query = {} }: AnyRestRoute) {
  return Object.entries(query).map(([name, { describe, schema }]) => ({ name, describe, schema }))
}

function scopeTitles(): Json {
  return Object.fromEntries(scopes.map(({ name, title }) => [name, title]))
}

function jsonContent(schema: Json): Json {
  return { 'application/json': { schema } }
}

const errorSchema: Json = {
  type: 'object',
  description: 'A refusal. Which members it has depends on who refuses: see docs/api.md.',
  properties: {
    status: { type: 'integer' },
    title: { type: 'string', enum: Object.keys(problemStatuses) },
    type: { type: 'string' },
    detail: { type: 'string' },
    error_type: { type: 'string' },
    error_message: { type: 'string' },
    message: {},
    error: { type: 'string' },
  },
}
