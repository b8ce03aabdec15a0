import type { DatabaseSync } from 'node:sqlite'
import { largeTenancy } from '../../support/large-tenancy.ts'
import { USER } from '../support/ours.ts'
import { atMost, type Row } from '../support/row.ts'
import { seedDatabase } from '../support/seed-ours.ts'
import {
  type Asked,
  insertApiToken,
  insertUser,
  measureKinds,
  metricsOf,
  places,
  walkPages,
} from '../support/tenancy-rows.ts'

const ORGANIZATION = 'fleet'
const OWNER = 'chief'
const TEAMS = 1_000
const MAX_PAGES = 200

/** `limit` in ms, where one must be kept: a list of everything that an organization has takes as long as it is large. */
const kinds = [
  { key: 'token', what: 'token for one of the repositories', limit: 10 },
  { key: 'check', what: 'one repository, seen for the first time', limit: 10 },
  { key: 'again', what: 'one repository, seen before', limit: 10 },
  { key: 'catalog', what: 'page of 100 of /v2/_catalog', limit: 10 },
  { key: 'namespace', what: 'page of /repository?namespace=', limit: 10 },
  { key: 'public', what: 'page of /repository?public=true', limit: 10 },
  { key: 'common', what: 'search for a word that all names have', limit: 10 },
  { key: 'rare', what: 'search for a word that one name has', limit: 10 },
  { key: 'teams', what: 'the organization with 1,000 teams' },
  { key: 'members', what: 'all 1,000 members' },
  { key: 'robots', what: 'all 10,000 robot accounts' },
  { key: 'someRobots', what: '100 robot accounts', limit: 10 },
]

/** What somebody may do who is in a thousand teams, each of which reads a hundred repositories of one organization. */
export const permScale: Row = {
  name: 'perm-scale',
  unit: 'calls of a user in 1,000 teams with 100,000 repositories and 10,000 robots, one at a time, one core',
  metrics: metricsOf(kinds),
  required: kinds.flatMap(({ key, limit }) => (limit === undefined ? [] : [atMost(`${key}P99`, limit)])),
  // Debian's registry knows no rights.
  sides: ['ours'],
  async prepare(bench) {
    const size = bench.amount(100_000)
    const subject = await bench.ownServer('ours-perm')
    await subject.stop()
    const tokens = { member: '', owner: '' }
    const seed = (db: DatabaseSync) => {
      insertUser(db, OWNER)
      const content = { repositories: size, teams: TEAMS, users: 1_000, robots: bench.amount(10_000) }
      const people = { inEveryTeam: [USER], owners: [OWNER] }
      for (const statement of largeTenancy({ organization: ORGANIZATION, ...content, ...people })) db.exec(statement)
      tokens.member = insertApiToken(db, USER)
      tokens.owner = insertApiToken(db, OWNER)
    }
    seedDatabase(subject.databasePath, seed, { statistics: false })
    await subject.start()
    const catalogToken = (await subject.authorize('registry:catalog:*')) ?? ''
    const name = (at: number) => `svc-api-${String(at + 1).padStart(6, '0')}`
    const lists = '/api/v1/repository?last_modified=true&popularity=true'
    const find = '/api/v1/find/repositories?includeUsage=true&query='
    const scopes = (from: number, count: number) =>
      places(from + count, size)
        .slice(from)
        .map((at) => `${ORGANIZATION}/${name(at)}`)
    const organization = `/api/v1/organization/${ORGANIZATION}`
    const namespacePages = await walkPages(subject, `${lists}&namespace=${ORGANIZATION}`, tokens.member, MAX_PAGES)
    const publicPages = await walkPages(subject, `${lists}&public=true`, tokens.member, MAX_PAGES)
    const count = bench.amount(600)
    return (_, round) => {
      // What a round asks for the first time no round before it has asked for.
      const fresh = scopes((round + 1) * 2 * count, 2 * count)
      const service = `${subject.host}:${subject.port}`
      const auth = (path: string) =>
        `/v2/auth?service=${service}&scope=${encodeURIComponent(`repository:${path}:pull`)}`
      const asked: Record<string, Pick<Asked, 'paths' | 'authorization'> & { readonly count?: number }> = {
        token: { paths: fresh.slice(0, count).map(auth), authorization: subject.basic },
        check: { paths: fresh.slice(count).map((path) => `/api/v1/repository/${path}`), authorization: tokens.member },
        again: { paths: [`/api/v1/repository/${ORGANIZATION}/${name(7)}`], authorization: tokens.member },
        catalog: {
          paths: places(300, size).map((at) => `/v2/_catalog?n=100&last=${ORGANIZATION}/${name(at)}`),
          authorization: catalogToken,
        },
        namespace: { paths: namespacePages, authorization: tokens.member },
        public: { paths: publicPages, authorization: tokens.member },
        common: {
          paths: ['svc', 'api', 'svc api', `${ORGANIZATION}/svc`].map((query) => find + encodeURIComponent(query)),
          authorization: tokens.member,
        },
        rare: { paths: places(300, size).map((at) => find + name(at).slice(-6)), authorization: tokens.member },
        teams: { paths: [organization], authorization: tokens.owner, count: bench.amount(50) },
        members: { paths: [`${organization}/members`], authorization: tokens.owner, count: bench.amount(50) },
        robots: {
          paths: [`${organization}/robots?permissions=true&token=false`],
          authorization: tokens.owner,
          count: bench.amount(20),
        },
        someRobots: { paths: [`${organization}/robots?limit=100&token=false`], authorization: tokens.owner },
      }
      return measureKinds(
        subject,
        kinds.map(({ key, what }) => ({ key, what, paths: [], authorization: '', count, ...asked[key] })),
      )
    }
  },
}
