import type { DatabaseSync } from 'node:sqlite'
import { largeTenancy } from '../../support/large-tenancy.ts'
import type { Bench } from '../support/bench-context.ts'
import { type OurSubject, USER } from '../support/ours.ts'
import { atMost, type Row } from '../support/row.ts'
import { seedDatabase } from '../support/seed-ours.ts'
import { type Asked, insertApiToken, measureKinds, metricsOf, places, walkPages } from '../support/tenancy-rows.ts'

const ORGANIZATION = 'harbor'
const READABLE = 100
const MAX_PAGES = 200

const kinds = [
  { key: 'catalog', what: 'page of 100 of /v2/_catalog' },
  { key: 'namespace', what: 'page of /repository?namespace=' },
  { key: 'public', what: 'page of /repository?public=true' },
  { key: 'common', what: 'search for a word that all names have' },
  { key: 'rare', what: 'search for a word that one name has' },
]

/** Who may read one in a hundred finds and lists those, and waits for none of the others. */
export const catalog100k: Row = {
  name: 'catalog-100k',
  unit: 'lists and searches of a user who may read 1 % of 100,000 repositories, one at a time, one core',
  metrics: metricsOf(kinds),
  required: kinds.map(({ key }) => atMost(`${key}P99`, 10)),
  // Debian's registry knows no rights.
  sides: ['ours'],
  async prepare(bench) {
    const size = bench.amount(100_000)
    const { subject, authorization } = await prepareTenancy(bench, size)
    const token = await subject.authorize('registry:catalog:*')
    const name = (at: number) => `svc-api-${String(at + 1).padStart(6, '0')}`
    const lists = '/api/v1/repository?last_modified=true&popularity=true'
    const find = '/api/v1/find/repositories?includeUsage=true&query='
    const seen = (at: number) => Math.floor(at / READABLE) * READABLE
    const paths: Record<string, readonly string[]> = {
      catalog: places(300, size).map((at) => `/v2/_catalog?n=100&last=${ORGANIZATION}/${name(at)}`),
      namespace: await walkPages(subject, `${lists}&namespace=${ORGANIZATION}`, authorization, MAX_PAGES),
      public: await walkPages(subject, `${lists}&public=true`, authorization, MAX_PAGES),
      common: ['svc', 'api', 'svc api', `${ORGANIZATION}/svc`].map((query) => find + encodeURIComponent(query)),
      rare: places(300, size).map((at) => find + name(seen(at)).slice(-6)),
    }
    const asked: Asked[] = kinds.map((kind) => ({
      ...kind,
      paths: paths[kind.key] ?? [],
      authorization: kind.key === 'catalog' ? (token ?? '') : authorization,
      count: bench.amount(600),
    }))
    return () => measureKinds(subject, asked)
  },
}

async function prepareTenancy(
  bench: Bench,
  repositories: number,
): Promise<{ subject: OurSubject; authorization: string }> {
  const subject = await bench.ownServer('ours-catalog')
  await subject.stop()
  let authorization = ''
  const seed = (db: DatabaseSync) => {
    const reader = { name: USER, every: READABLE }
    for (const statement of largeTenancy({ organization: ORGANIZATION, repositories, reader })) db.exec(statement)
    // Some that everybody sees, between them in the lists over all namespaces.
    for (const statement of largeTenancy({ organization: 'open', repositories: 1_000 })) db.exec(statement)
    const open = `namespace_id = (select id from namespace where name = 'open')`
    db.exec(`update repository set visibility = 'public' where ${open}`)
    db.exec(`update repository_word set is_public = 1 where ${open}`)
    authorization = insertApiToken(db, USER)
  }
  seedDatabase(subject.databasePath, seed, { statistics: false })
  await subject.start()
  return { subject, authorization }
}
