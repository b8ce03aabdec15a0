import { errorRoutes } from './error.routes.ts'
import type { AnyRestRoute } from './rest-route.ts'
import { sessionRoutes } from './session.routes.ts'

/** Every route of the REST API: what there is, is here. */
export const restRoutes: readonly AnyRestRoute[] = [...sessionRoutes, ...errorRoutes]
