import type { PushJob } from '../load/job.ts'
import { type Place, placeIn, pushBlob, verifyBlob } from './content.ts'
import { type LoadOptions, runLoad, sampleOfBytes, sampleOfRequests, type WithoutTarget } from './load.ts'
import { touchMemory } from './process.ts'
import { byteMetrics, type Requirement, type Row, requestMetrics } from './row.ts'
import type { Subject } from './subject.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

interface BlobWork {
  readonly name: string
  readonly sizeBytes: number
  readonly streams: number
  readonly required: readonly Requirement[]
  /** Blobs per round. */
  readonly count: number
}

/** Pulls of blobs that are in the page cache, server and client on a core each. `distinct`: how many blobs there are. */
export function getBlobRow(work: BlobWork & { readonly distinct: number; readonly per: 'request' | 'bytes' }): Row {
  const { name, sizeBytes, streams, per } = work
  return {
    name,
    unit: `${sizeText(sizeBytes)} blob pulled, ${streams} at a time`,
    metrics: per === 'bytes' ? byteMetrics : requestMetrics('blob'),
    required: work.required,
    sides: ['peer', 'ours'],
    async prepare(bench) {
      const stocked = new Map<Subject, { place: Place; paths: string[] }>()
      const stock = async (subject: Subject) => {
        const place = await placeIn(subject, `bench/${name}`)
        const digests = await stockBlobs(place, sizeBytes, bench.amount(work.distinct))
        return { place, paths: digests.map((digest) => `/v2/${place.repository}/blobs/${digest}`) }
      }
      for (const side of this.sides) {
        const subject = await bench.subject(side)
        stocked.set(subject, await stock(subject))
      }
      return async (subject) => {
        const stockOf = stocked.get(subject)
        if (stockOf === undefined) throw new Error(`Nothing was pushed to ${subject.side}`)
        const { authorization } = await placeIn(subject, stockOf.place.repository)
        const outcome = await runLoad({
          subject,
          authorization,
          oneCore: true,
          job: {
            kind: 'requests',
            method: 'GET',
            requests: stockOf.paths.map((path) => ({ path })),
            count: bench.amount(work.count),
            streams,
            expectedStatus: 200,
          },
        })
        return per === 'bytes' ? sampleOfBytes(outcome) : sampleOfRequests(outcome)
      }
    },
  }
}

async function stockBlobs(place: Place, sizeBytes: number, distinct: number): Promise<readonly string[]> {
  if (sizeBytes > MIB) return (await push(place, { sizeBytes, streams: 1, count: distinct, form: 'patch' })).digests
  const digests: string[] = []
  for (let i = 0; i < distinct; i++) digests.push((await pushBlob(place, sizeBytes)).digest)
  return digests
}

/** Pushes of new random bytes with both cores free; a sample of each round is read back and compared. */
export function pushRow(work: BlobWork & { readonly form: PushJob['form']; readonly per: 'request' | 'bytes' }): Row {
  const { name, sizeBytes, streams, form, per } = work
  return {
    name,
    unit: `${sizeText(sizeBytes)} blob pushed, ${streams} at a time, ${form === 'patch' ? 'POST PATCH PUT' : 'POST PUT'}`,
    metrics: per === 'bytes' ? byteMetrics : requestMetrics('blob'),
    required: work.required,
    sides: ['peer', 'ours'],
    // A warm-up of gigabytes only fills the disk.
    warmUp: sizeBytes < 100 * MIB,
    async prepare(bench) {
      for (const side of this.sides) await bench.subject(side)
      return async (subject) => {
        const place = await placeIn(subject, `bench/${name}`)
        const count = bench.amount(work.count)
        // The client keeps what it sends, and the system what was written.
        await touchMemory(3 * count * sizeBytes)
        const outcome = await push(place, { sizeBytes, streams, count, form })
        const sample = [outcome.digests[0], outcome.digests.at(-1)].filter((digest) => digest !== undefined)
        for (const digest of new Set(sample)) {
          await verifyBlob(place, digest)
          bench.ledger.push({ subject, repository: place.repository, digest })
        }
        return per === 'bytes' ? sampleOfBytes(outcome) : sampleOfRequests(outcome)
      }
    },
  }
}

/** Pushes random blobs through the load generator. */
export async function push(
  place: Place,
  job: Omit<WithoutTarget<PushJob>, 'kind' | 'repository'>,
  around?: LoadOptions['around'],
) {
  const { subject, authorization, repository } = place
  const outcome = await runLoad({
    subject,
    authorization,
    oneCore: false,
    job: { kind: 'push', repository, ...job },
    ...(around !== undefined && { around }),
  })
  return { ...outcome, digests: outcome.result.digests }
}

function sizeText(sizeBytes: number): string {
  if (sizeBytes >= GIB) return `${sizeBytes / GIB} GiB`
  return sizeBytes >= MIB ? `${sizeBytes / MIB} MiB` : `${sizeBytes / KIB} KiB`
}
