import {
  type BlobInRepository,
  deleteBlob,
  findBlob,
  listMissingCopies,
  markCopy,
  renewLease,
  restoreCopy,
} from '../blobs/blobs.ts'
import type { Digest } from '../oci/digest.ts'
import { matchesEtag } from '../oci/etag.ts'
import { parseRange } from '../oci/range.ts'
import { refuse } from '../platform/errors.ts'
import { empty, type Headers, type Reply } from '../platform/reply.ts'
import { sendObject } from '../storage/send.ts'
import { type ObjectReader, StorageError } from '../storage/storage.ts'
import { accessQuery } from './permit.ts'
import { digestParam, route, type V2Request } from './route.ts'
import type { RegistryServices } from './services.ts'

/** GET and HEAD /v2/<name>/blobs/<digest>. Whole or one range; HEAD by a pusher keeps the blob for the push to come. */
export const getBlobRoute = route({
  method: ['GET', 'HEAD'],
  path: '/v2/<name>/blobs/<digest>',
  spec: 'OCI distribution 1.1, Pulling Blobs',
  access: 'pull',
  async handle(services, request) {
    const digest = digestParam(request.params['digest'])
    const found = await services.db.read(findBlob, { repositoryId: request.repository.id, digest })
    const blob = found?.copy === undefined ? await recoverBlob(services, request, digest, found) : found
    if (request.exchange.request.method === 'HEAD') await keepForPush(services, request, digest, blob)
    return blobReply(services, request, digest, blob)
  },
})

/** Whoever may push and is told that a blob exists will not upload it: it must still be there for the manifest. */
async function keepForPush(
  services: RegistryServices,
  request: V2Request<object>,
  digest: Digest,
  blob: BlobInRepository,
): Promise<void> {
  const { caller, repository, path } = request
  if (blob.leasedUntilMs === null || caller.accountId === 0) return
  const { uploadLeaseMs } = services.config.registry
  const nowMs = services.clock.nowMs()
  if (blob.leasedUntilMs - nowMs >= uploadLeaseMs / 2) return
  const { rights } = await services.access.get(accessQuery(caller, path))
  if (!rights.push) return
  const kept = await services.db.transaction(renewLease, {
    repositoryId: repository.id,
    digest,
    leasedUntilMs: nowMs + uploadLeaseMs,
  })
  if (!kept) throw refuse('BLOB_UNKNOWN', { digest })
}

async function blobReply(
  services: RegistryServices,
  request: V2Request<object>,
  digest: Digest,
  blob: BlobInRepository,
): Promise<Reply> {
  const { method, headers: asked } = request.exchange.request
  const headers: Headers = {
    'Content-Type': 'application/octet-stream',
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=31536000, immutable',
  }
  if (asked['if-none-match'] !== undefined && matchesEtag(asked['if-none-match'], digest)) return empty(304, headers)
  const ifRange = asked['if-range']
  // Only GET has ranges (RFC 9110, 14.2). One of something else than the client has would be glued to the wrong bytes.
  const rangeCounts = method === 'GET' && (ifRange === undefined || ifRange === `"${digest}"`)
  const range = parseRange(rangeCounts ? asked.range : undefined, blob.sizeBytes)
  if (range.kind === 'unsatisfiable') throw refuse('RANGE_UNSATISFIABLE', { digest, size: blob.sizeBytes })
  const [start, end] = range.kind === 'part' ? [range.start, range.end + 1] : [0, blob.sizeBytes]
  const status = range.kind === 'part' ? 206 : 200
  const part: Headers = range.kind === 'part' ? { 'Content-Range': `bytes ${start}-${end - 1}/${blob.sizeBytes}` } : {}
  const reply = { status, headers: { ...headers, ...part, 'Content-Length': end - start } }
  if (method === 'HEAD') return reply
  const reader = await openCopy(services, request, digest, blob)
  return {
    ...reply,
    async body(response) {
      const idleMs = services.config.server.bodyIdleTimeoutMs
      await sendObject(reader, response, { start, end, buffers: services.sendBuffers, idleMs })
    },
    release: () => reader.close(),
  }
}

/** A copy that is not where it should be is marked, so that the next push of the digest brings the bytes back. */
async function openCopy(
  services: RegistryServices,
  request: V2Request<object>,
  digest: Digest,
  blob: BlobInRepository,
): Promise<ObjectReader> {
  const { copy } = blob
  const store = copy && services.stores.get(copy.location)
  if (copy === undefined || store === undefined) throw refuse('BLOB_UNKNOWN', { digest })
  const reader = await inStore(() => store.openReader(copy.key))
  if (reader?.sizeBytes === blob.sizeBytes) return reader
  await reader?.close()
  const state = reader === undefined ? 'missing' : 'damaged'
  services.log.error(
    {
      'request.id': request.exchange.id,
      'blob.digest': digest,
      'storage.location': copy.location,
      'storage.key': copy.key,
      'blob.copy_state': state,
    },
    'A blob is not in the store as the database says; it counts as lost until it is pushed again',
  )
  await services.db.transaction(markCopy, { location: copy.location, key: copy.key, state })
  throw refuse('BLOB_UNKNOWN', { digest })
}

/** Bytes that count as lost may be back: a disk was mounted again, a file restored. Then they are served as before. */
async function recoverBlob(
  services: RegistryServices,
  request: V2Request<object>,
  digest: Digest,
  blob: BlobInRepository | undefined,
): Promise<BlobInRepository> {
  if (blob === undefined) throw refuse('BLOB_UNKNOWN', { digest })
  for (const copy of await services.db.read(listMissingCopies, { repositoryId: request.repository.id, digest })) {
    const store = services.stores.get(copy.location)
    if ((await inStore(async () => store?.sizeOf(copy.key))) !== blob.sizeBytes) continue
    await services.db.transaction(restoreCopy, copy)
    services.log.warn(
      { 'blob.digest': digest, 'storage.location': copy.location, 'storage.key': copy.key },
      'The bytes of a blob that counted as lost are in the store again; it is served as before',
    )
    return { ...blob, copy }
  }
  throw refuse('BLOB_UNKNOWN', { digest })
}

/** @throws DomainError UNAVAILABLE when the store fails. */
async function inStore<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look()
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    throw refuse('UNAVAILABLE', { retryAfterSeconds: 5 }, 'The blob store cannot be read at the moment.', error)
  }
}

/** DELETE /v2/<name>/blobs/<digest>. Only what no manifest of the repository names. */
export const deleteBlobRoute = route({
  method: 'DELETE',
  path: '/v2/<name>/blobs/<digest>',
  spec: 'OCI distribution 1.1, Deleting Blobs',
  access: 'delete',
  async handle({ db, clock }, { repository, params, caller, exchange }) {
    const { id, namespaceId, path } = repository
    await db.transaction(deleteBlob, {
      repository: { id, namespaceId, path },
      digest: digestParam(params['digest']),
      actor: caller.actor,
      address: exchange.address,
      nowMs: clock.nowMs(),
    })
    return empty(202)
  },
})
