import { deleteBlob as deleteBlobIn, findBlob, mountBlob, renewLease } from '../../src/blobs/blobs.ts'
import { commitUpload } from '../../src/blobs/uploads.ts'
import {
  claimDoomedBlobs,
  closeExpiredTags,
  collectLinks,
  collectManifests,
  forgetBlobs,
  forgetTags,
  type Link,
  listDueLinks,
  listDueManifests,
  listPastTags,
} from '../../src/gc/gc.ts'
import { findManifest } from '../../src/manifests/manifests.ts'
import { pushManifest } from '../../src/tags/push.ts'
import { deleteManifest, deleteTag, moveTag } from '../../src/tags/tags.ts'
import type { Arena } from './arena.ts'
import { key, layer, NOW, type Pushed, tag } from './content.ts'
import type { Perform, Program } from './session.ts'

/** Clients and the collector, each as one session: the transactions of the product in the order of the product. */

export const A = { id: 1, namespaceId: 1, path: 'acme/r0' }
export const B = { id: 2, namespaceId: 1, path: 'acme/r1' }
export const LEASE_MS = 86_400_000
const GRACE_MS = 3_600_000
const actor = { kind: 'system' as const, name: 'test' }
const write = { actor, address: '127.0.0.1', nowMs: NOW }

export function pushOf(what: Pushed, name?: string, more: { sparse?: boolean; expiresMs?: number } = {}) {
  return {
    ...write,
    repository: A,
    digest: what.digest,
    content: what.content,
    manifest: what.manifest,
    tags: name === undefined ? [] : [tag(name)],
    expiresMs: more.expiresMs ?? null,
    sparse: more.sparse ?? false,
    leaseMs: LEASE_MS,
  }
}

export const push =
  (what: Pushed, name?: string, more: { sparse?: boolean; expiresMs?: number } = {}): Program =>
  (perform) =>
    perform(pushManifest, pushOf(what, name, more))

export const mountInput = {
  fromRepositoryId: A.id,
  repository: B,
  digest: layer.digest,
  leasedUntilMs: NOW + LEASE_MS,
}

export const mount: Program = (perform) => perform(mountBlob, mountInput)

/** The last step of an upload whose session and object the state has; its own object goes when it is not needed. */
export const upload =
  (arena: () => Arena, repository: typeof A, object: string): Program =>
  async (perform) => {
    const { kept } = await perform(commitUpload, {
      id: `upload-${object}`,
      claim: 'claim',
      repository,
      digest: layer.digest,
      sizeBytes: layer.sizeBytes,
      location: 'disk',
      key: key(object),
      leasedUntilMs: NOW + LEASE_MS,
      nowMs: NOW,
    })
    if (!kept) arena().objects.delete(key(object))
  }

export const copyOf = (repositoryId: number, object: string, leasedUntilMs: number, blob = layer) => ({
  repositoryId,
  digest: blob.digest,
  sizeBytes: blob.sizeBytes,
  location: 'disk',
  key: key(object),
  leasedUntilMs,
})

/** A pusher asks whether the layer exists and will not upload it if so. */
export const head: Program = async (perform) => {
  const found = await perform(findBlob, { repositoryId: A.id, digest: layer.digest })
  if (found === undefined) return 'unknown'
  const kept = await perform(renewLease, {
    repositoryId: A.id,
    digest: layer.digest,
    leasedUntilMs: NOW + LEASE_MS,
  })
  return kept ? 'kept' : 'unknown'
}

export const untag =
  (name: string): Program =>
  (perform) =>
    perform(deleteTag, { ...write, repository: A, tag: tag(name) })

export const deleteDigest =
  (what: Pushed): Program =>
  (perform) =>
    perform(deleteManifest, { ...write, repository: A, digest: what.digest, graceMs: GRACE_MS })

/** A tag is moved to what the repository has, as `pushManifest` does it. */
export const retag =
  (what: Pushed, name: string): Program =>
  (perform) =>
    perform(moveTag, { ...write, repository: A, tag: tag(name), target: what.digest, expiresMs: null })

/** One session that does several things. */
export const inTurn =
  (...programs: readonly Program[]): Program =>
  async (perform) => {
    const outcomes: unknown[] = []
    for (const program of programs) outcomes.push((await program(perform)) ?? 'done')
    return outcomes
  }

export const deleteLayer: Program = (perform) =>
  perform(deleteBlobIn, { ...write, repository: A, digest: layer.digest })

/* The steps of the collector, as `gc/collector.job.ts` makes them, with this grace. */

export const expireTags =
  (nowMs: number): Program =>
  (perform) =>
    perform(closeExpiredTags, { nowMs, limit: 10 })

async function forgetPast(perform: Perform, nowMs: number): Promise<void> {
  const ids = await perform(listPastTags, { nowMs, windowMs: 0, limit: 10 })
  if (ids.length > 0) await perform(forgetTags, { ids, nowMs })
}

async function reviewManifests(perform: Perform, nowMs: number, graceMs: number): Promise<number> {
  const ids = await perform(listDueManifests, { nowMs, limit: 10 })
  return ids.length === 0 ? 0 : (await perform(collectManifests, { ids, nowMs, graceMs })).removed
}

async function reviewLinks(perform: Perform, nowMs: number): Promise<void> {
  const links: Link[] = await perform(listDueLinks, { nowMs, limit: 10 })
  if (links.length > 0) await perform(collectLinks, { links, nowMs })
}

async function deleteDoomed(arena: Arena, perform: Perform, nowMs: number): Promise<void> {
  const doomed = await perform(claimDoomedBlobs, { condemnedBeforeMs: nowMs, limit: 10 })
  for (const blob of doomed) for (const copy of blob.copies) arena.objects.delete(copy.key)
  if (doomed.length > 0) await perform(forgetBlobs, { ids: doomed.map((blob) => blob.id) })
}

export const tagForgetter: Program = (perform) => forgetPast(perform, NOW)
export const manifestCollector: Program = async (perform) => void (await reviewManifests(perform, NOW, GRACE_MS))
/** Two collectors may have taken different manifests out of the same queue. */
export const collectorOf =
  (what: Pushed, nowMs = NOW): Program =>
  async (perform) => {
    const found = await perform(findManifest, { repositoryId: A.id, digest: what.digest })
    if (found !== undefined) await perform(collectManifests, { ids: [found.id], nowMs, graceMs: GRACE_MS })
  }

export const linkCollector: Program = (perform) => reviewLinks(perform, NOW)
export const blobCollector =
  (arena: () => Arena): Program =>
  (perform) =>
    deleteDoomed(arena(), perform, NOW)

/** A whole round with neither grace nor quarantine: the worst that a collector can do. */
export const eagerCollector =
  (arena: () => Arena): Program =>
  async (perform) => {
    await forgetPast(perform, NOW)
    await reviewManifests(perform, NOW, 0)
    await reviewLinks(perform, NOW)
    await deleteDoomed(arena(), perform, NOW)
  }
