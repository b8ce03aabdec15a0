import { join } from 'node:path'
import { runLoad } from '../support/load.ts'
import { atMost, type Row, type Sample } from '../support/row.ts'
import { insertManifests, insertRepository, insertTags, seedDatabase, tagName } from '../support/seed-ours.ts'
import { seedPeerTags } from '../support/seed-peer.ts'
import { growthExponent } from '../support/statistics.ts'
import type { Subject } from '../support/subject.ts'

const nameOf = (tags: number) => `bench/tags-${tags}`
const PAGE = 100

/** Pages of tags at the start, in the middle and at the end of repositories of growing size. */
export const tags1m: Row = {
  name: 'tags-1m',
  unit: 'page of 100 tags; ours of 1,000,000, the peer, which reads them all each time, of 10,000',
  metrics: [
    { key: 'p50', unit: 'ms p50 at the client', better: 'lower' },
    { key: 'p99', unit: 'ms p99 at the client', better: 'lower' },
    { key: 'cpu', unit: 'µs CPU per page', better: 'lower' },
    { key: 'growth', unit: 'growth exponent of CPU', better: 'lower' },
    { key: 'growthP50', unit: 'growth exponent of p50', better: 'lower' },
  ],
  // What a client sees holds the server's time and the way to it, so the limit for the server is kept if this one is.
  required: [atMost('p99', 2), atMost('growth', 0.1)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    const ours = await bench.ownServer('ours-tags')
    const sizes = bench.quick ? [1_000, 10_000] : [1_000, 10_000, 100_000, 1_000_000]
    await ours.stop()
    seedDatabase(ours.databasePath, (db) => {
      for (const count of sizes) {
        const repositoryId = insertRepository(db, nameOf(count))
        insertManifests(db, { repositoryId, count: 1, from: count, leasedUntilMs: null })
        insertTags(db, { repositoryId, count })
      }
    })
    await ours.start()
    const peer = await bench.ownPeer('peer-tags')
    const peerSizes = [1_000, 10_000]
    for (const count of peerSizes) {
      const content = { repositories: [nameOf(count)], tagsEach: count, tagOf: tagName }
      await seedPeerTags(join(bench.dir, 'peer-tags'), content)
    }
    return ({ side }) => (side === 'peer' ? measure(peer, peerSizes, 20) : measure(ours, sizes, bench.amount(600)))
  },
}

/** Latency and CPU of the largest repository, and how both grow towards it. */
async function measure(subject: Subject, sizes: readonly number[], pages: number): Promise<Sample> {
  const points: { size: number; p50: number; p99: number; cpu: number; foreign: number }[] = []
  for (const size of sizes) {
    const repository = nameOf(size)
    const { result, serverCpuSeconds, foreignCores } = await runLoad({
      subject,
      authorization: await subject.authorize(`repository:${repository}:pull`),
      oneCore: true,
      job: {
        kind: 'requests',
        method: 'GET',
        requests: pagesOf(repository, size),
        count: pages,
        streams: 1,
        expectedStatus: 200,
      },
    })
    const cpu = (serverCpuSeconds * 1e6) / result.count
    points.push({ size, p50: result.p50Ms, p99: result.p99Ms, cpu, foreign: foreignCores })
  }
  const largest = points.at(-1)
  if (largest === undefined) throw new Error('No size was measured')
  return {
    p50: largest.p50,
    p99: largest.p99,
    cpu: largest.cpu,
    foreign: largest.foreign,
    growth: growthExponent(points.map(({ size, cpu }) => [size, cpu])),
    growthP50: growthExponent(points.map(({ size, p50 }) => [size, p50])),
  }
}

/** A hundred pages from each of three places. */
function pagesOf(repository: string, size: number): { path: string }[] {
  const places = [0, Math.floor(size / 2), size - 10 * PAGE].map((from) => Math.max(0, from))
  return Array.from({ length: 300 }, (_, i) => {
    const from = (places[i % places.length] ?? 0) + (i % 900)
    return { path: `/v2/${repository}/tags/list?n=${PAGE}&last=${tagName(Math.min(from, size - 1))}` }
  })
}
