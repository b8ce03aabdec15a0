import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../support/bench-context.ts'
import { push } from '../support/blob-rows.ts'
import { placeIn } from '../support/content.ts'
import { scrape } from '../support/metrics.ts'
import { atLeast, atMost, type Row } from '../support/row.ts'
import { insertBlobs, insertEdges, insertManifests, insertRepository, seedDatabase } from '../support/seed-ours.ts'
import { median } from '../support/statistics.ts'
import type { Subject } from '../support/subject.ts'

const REPOSITORY = 'bench/garbage'
const BLOBS_EACH = 2

/** A hundred thousand manifests that nothing names any more go, with their blobs, while others push. */
export const gc100k: Row = {
  name: 'gc-100k',
  unit: 'collection of 100,000 manifests and 200,000 blobs while 4 streams push blobs of 1 KiB',
  metrics: [
    { key: 'manifests', unit: 'manifests/s', better: 'higher' },
    { key: 'blobs', unit: 'blobs/s, all steps', better: 'higher' },
    { key: 'p99', unit: 'ms p99 of a push meanwhile', better: 'lower' },
    { key: 'quiet', unit: 'ms p99 of a push in quiet', better: 'lower' },
    { key: 'slower', unit: 'times the quiet p99', better: 'lower' },
  ],
  required: [atLeast('manifests', 2_000), atMost('slower', 1.25)],
  sides: ['ours'],
  rounds: 1,
  warmUp: false,
  async prepare(bench) {
    const count = bench.amount(100_000)
    const ours = await prepareGarbage(bench, count)
    return async () => {
      await ours.start()
      let collecting = true
      const watched = watch(ours, count).finally(() => {
        collecting = false
      })
      // Whoever waits for the pushes first must not leave a failure of the other unheard.
      watched.catch(() => undefined)
      const during: number[] = []
      do during.push(await pushP99(ours))
      while (collecting)
      const rates = await watched
      const quiet: number[] = []
      for (let i = 0; i < 5; i++) quiet.push(await pushP99(ours))
      // The last one has run into the quiet time.
      const busy = median(during.length > 1 ? during.slice(0, -1) : during)
      return { ...rates, p99: busy, quiet: median(quiet), slower: busy / median(quiet) }
    }
  },
}

async function pushP99(subject: Subject): Promise<number> {
  const place = await placeIn(subject, 'bench/beside-gc')
  const { result } = await push(place, { sizeBytes: 1024, streams: 4, count: 500, form: 'put' })
  return result.p99Ms
}

/** Written while the server is down. There are no files behind the blobs: deleting nothing is what a disk does fastest. */
async function prepareGarbage(bench: Bench, count: number) {
  const config = { GC_GRACE: '0s', GC_QUARANTINE: '0s', GARBAGE_COLLECTION_FREQUENCY: 1 }
  const ours = await bench.ownServer('ours-gc', config)
  await ours.stop()
  seedDatabase(ours.databasePath, (db) => {
    const repositoryId = insertRepository(db, REPOSITORY)
    insertManifests(db, { repositoryId, count, from: 0, leasedUntilMs: 1 })
    insertBlobs(db, { repositoryId, count: count * BLOBS_EACH })
    insertEdges(db, { repositoryId, blobsEach: BLOBS_EACH })
  })
  return ours
}

async function watch(subject: Subject, count: number) {
  const startedMs = performance.now()
  let manifestsMs: number | undefined
  for (;;) {
    const metrics = await scrape(subject)
    const elapsedMs = performance.now() - startedMs
    const manifests = metrics.get('longshore_gc_manifests_deleted_total') ?? 0
    const blobs = metrics.get('quay_gc_storage_blobs_deleted_total') ?? 0
    if (manifests >= count) manifestsMs ??= elapsedMs
    if (manifestsMs !== undefined && blobs >= count * BLOBS_EACH)
      return { manifests: count / (manifestsMs / 1000), blobs: (count * BLOBS_EACH) / (elapsedMs / 1000) }
    if (elapsedMs > 600_000)
      throw new Error(`After 10 minutes ${manifests} manifests and ${blobs} blobs were collected`)
    await sleep(100)
  }
}
