import { nextLink } from '../oci/link.ts'
import { json } from '../platform/reply.ts'
import { listTags } from '../tags/tags.ts'
import { pageSizeParam, route, textParam } from './route.ts'

/** GET /v2/<name>/tags/list. Pages in byte order; `n` is clamped to 1000, an unknown `last` is not an error. */
export const listTagsRoute = route({
  method: 'GET',
  path: '/v2/<name>/tags/list',
  spec: 'OCI distribution 1.1, Listing Tags',
  access: 'pull',
  query: { n: pageSizeParam(1000), last: textParam('The tag after which the page begins') },
  async handle({ db, clock }, { repository, query }) {
    const { n } = query
    const name = repository.path
    if (n === 0) return json(200, { name, tags: [] })
    // One more than the page tells whether there is a next one.
    const found = await db.read(listTags, {
      repositoryId: repository.id,
      after: query.last ?? '',
      limit: n + 1,
      nowMs: clock.nowMs(),
    })
    const tags = found.slice(0, n)
    const last = tags.at(-1)
    const link = found.length > n && last !== undefined ? { Link: nextLink(`/v2/${name}/tags/list`, { n, last }) } : {}
    return json(200, { name, tags }, link)
  },
})
