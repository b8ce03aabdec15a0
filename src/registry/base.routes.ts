import { json } from '../platform/reply.ts'
import { route } from './route.ts'

/** GET /v2/. Tells a client that it speaks to a registry, and whether its credential is good. */
export const baseRoute = route({
  method: ['GET', 'HEAD'],
  path: '/v2/',
  spec: 'OCI distribution 1.1, Determining Support',
  access: 'login',
  async handle() {
    return json(200, {})
  },
})

/** GET /v2. Some clients leave the slash out. */
export const bareBaseRoute = route({
  method: ['GET', 'HEAD'],
  path: '/v2',
  spec: baseRoute.spec,
  access: 'login',
  handle: baseRoute.handle,
})
