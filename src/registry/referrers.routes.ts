import { nextLink } from '../oci/link.ts'
import { OCI_INDEX } from '../oci/media-type.ts'
import { refuse } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { listReferrers, type ReferrerPage } from '../referrers/referrers.ts'
import { digestParam, pageSizeParam, type QueryParameter, route, textParam } from './route.ts'

const cursor: QueryParameter<number> = {
  describe: 'Where the page begins; only from a Link header',
  parse(values) {
    const text = values.at(-1) ?? '0'
    if (!/^\d{1,15}$/.test(text))
      throw refuse('INVALID_REQUEST', {}, 'The parameter next comes from a Link header; follow that.')
    return Number(text)
  },
}

/**
 * GET /v2/<name>/referrers/<digest>. An unknown digest has none, and so has every digest of a repository that does not
 * exist yet: the specification forbids 404 here, since clients take it for a registry without this API.
 */
export const listReferrersRoute = route({
  method: 'GET',
  path: '/v2/<name>/referrers/<digest>',
  spec: 'OCI distribution 1.1, Listing Referrers',
  access: 'pull',
  missing: 'allowed',
  query: { artifactType: textParam('Only referrers of this artifact type'), n: pageSizeParam(1000), next: cursor },
  async handle({ db, clock, fallbackIndexes }, { existing: repository, path, params, query }) {
    const subject = digestParam(params['digest'])
    const { artifactType, next: afterId } = query
    const limit = query.n
    const pageIn = async (repositoryId: number): Promise<ReferrerPage> => {
      const of = { repositoryId, subject }
      const fallback = afterId === 0 ? await fallbackIndexes.list({ ...of, nowMs: clock.nowMs() }) : []
      return db.read(listReferrers, { ...of, artifactType, afterId, limit, fallback })
    }
    const isEmpty = repository === undefined || limit === 0
    const page = isEmpty ? { referrers: [], nextId: undefined } : await pageIn(repository.id)
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: page.referrers }
    const next =
      page.nextId === undefined
        ? undefined
        : { n: limit, next: page.nextId, ...(artifactType !== undefined && { artifactType }) }
    return json(200, index, {
      'Content-Type': OCI_INDEX,
      ...(artifactType !== undefined && { 'OCI-Filters-Applied': 'artifactType' }),
      ...(next && { Link: nextLink(`/v2/${path}/referrers/${subject}`, next) }),
    })
  },
})
