import { nextLink } from '../oci/link.ts'
import { refuse } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { listCatalog } from '../repositories/listing.ts'
import { coversCatalog, reachesRepositories } from './caller.ts'
import { checkSubject } from './permit.ts'
import { pageSizeParam, route, textParam } from './route.ts'

/** GET /v2/_catalog. Only what the caller may read, in the order of namespace and name. */
export const catalogRoute = route({
  method: 'GET',
  path: '/v2/_catalog',
  spec: 'Docker Registry HTTP API v2, Listing Repositories',
  access: 'open',
  query: { n: pageSizeParam(1000), last: textParam('The repository after which the page begins') },
  async handle(services, { caller, query }) {
    const { db, config } = services
    const { publicCatalog, anonymousAccess } = config.accounts
    if (caller.accountId === 0 && !(publicCatalog && anonymousAccess)) throw refuse('UNAUTHENTICATED')
    await checkSubject(services, caller)
    if (!coversCatalog(caller.ceiling)) throw refuse('INSUFFICIENT_SCOPE')
    const { n } = query
    if (n === 0) return json(200, { repositories: [] })
    const found = await db.read(listCatalog, {
      accountId: reachesRepositories(caller.ceiling) ? caller.accountId : 0,
      withPublic: publicCatalog,
      readsAll: reachesRepositories(caller.ceiling) && (caller.standing.readsAll || caller.standing.fullAccess),
      after: query.last ?? '',
      limit: n + 1,
    })
    const repositories = found.slice(0, n)
    const last = repositories.at(-1)
    return json(
      200,
      { repositories },
      found.length > n && last !== undefined ? { Link: nextLink('/v2/_catalog', { n, last }) } : {},
    )
  },
})
