import { join } from 'node:path'
import type { Bench } from '../support/bench-context.ts'
import { type Row, requestMetrics, timesPeer } from '../support/row.ts'
import {
  digestOfNumber,
  insertManifests,
  insertRepository,
  insertTagPerManifest,
  seedDatabase,
} from '../support/seed-ours.ts'
import { seedPeerTags } from '../support/seed-peer.ts'
import { seededRandom, zipfDraws } from '../support/statistics.ts'
import type { Subject } from '../support/subject.ts'
import { runWrk } from '../support/wrk.ts'

const REPOSITORIES = 500
const TAGS_EACH = 20

const nameOf = (repository: number) => `bench/cold-${repository}`
const tagOf = (tag: number) => `v${tag}`

/** Ten thousand tags in 500 repositories; the popular ones are asked for more often, as it is with images. */
export const getManifestCold: Row = {
  name: 'get-manifest-cold',
  unit: 'GET of a manifest by tag, 10,000 tags, 64 connections, one core',
  metrics: requestMetrics('request'),
  required: [timesPeer('rate', 10)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    const subjects = { peer: await prepareUnseen(bench, 'peer'), ours: await prepareUnseen(bench, 'ours') }
    const order = zipfDraws(REPOSITORIES * TAGS_EACH, 50_000, seededRandom(bench.seed))
    // The popularity of a tag has nothing to do with where its rows lie.
    const spread = order.map((index) => (index * 7_919) % (REPOSITORIES * TAGS_EACH))
    return async ({ side }) => {
      const subject = subjects[side]
      const requests = await requestsFor(subject)
      const seconds = bench.amount(5, 1)
      return runWrk({ subject, dir: bench.dir, connections: 64, seconds, requests, order: spread })
    }
  },
}

/** Rows and files are written while the server is down, so it has seen none of them. */
async function prepareUnseen(bench: Bench, side: 'peer' | 'ours'): Promise<Subject> {
  if (side === 'peer') {
    const peer = await bench.ownPeer('peer-cold')
    await seedPeerTags(join(bench.dir, 'peer-cold'), {
      repositories: Array.from({ length: REPOSITORIES }, (_, r) => nameOf(r)),
      tagsEach: TAGS_EACH,
      tagOf,
    })
    return peer
  }
  const ours = await bench.ownServer('ours-cold')
  await ours.stop()
  seedDatabase(ours.databasePath, (db) => {
    for (let r = 0; r < REPOSITORIES; r++) {
      const repositoryId = insertRepository(db, nameOf(r))
      const from = r * TAGS_EACH
      insertManifests(db, { repositoryId, count: TAGS_EACH, from, leasedUntilMs: null })
      for (let t = 0; t < TAGS_EACH; t++)
        insertTagPerManifest(db, { repositoryId, tag: tagOf(t), digest: digestOfNumber('manifest', from + t) })
    }
  })
  await ours.start()
  return ours
}

async function requestsFor(subject: Subject) {
  const requests: { path: string; authorization: string | undefined }[] = []
  for (let r = 0; r < REPOSITORIES; r++) {
    const authorization = await subject.authorize(`repository:${nameOf(r)}:pull`)
    for (let t = 0; t < TAGS_EACH; t++) requests.push({ path: `/v2/${nameOf(r)}/manifests/${tagOf(t)}`, authorization })
  }
  return requests
}
