import { recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { type AcceptManifest, acceptManifest } from '../manifests/manifests.ts'
import type { Digest } from '../oci/digest.ts'
import type { TagName } from '../oci/reference.ts'
import { type CreateRepository, holdForWrite, putRepository, type Repository } from '../repositories/repositories.ts'
import { type Expected, imageKeys, moveTag, type TagWrite } from './tags.ts'

export interface PushManifest extends TagWrite {
  readonly digest: Digest
  readonly content: Uint8Array
  readonly manifest: AcceptManifest['manifest']
  /** Empty for a push by digest. */
  readonly tags: readonly TagName[]
  readonly expiresMs: number | null
  readonly expected?: Expected
  readonly sparse: boolean
  /** How long a manifest that no tag names is left alone. */
  readonly leaseMs: number
}

/**
 * A push, decided in one transaction: the manifest, what it holds, the tags that name it, the audit rows and the outbox
 * stand together or not at all.
 * @throws DomainError as `acceptManifest` and `moveTag`; NAME_UNKNOWN, DENIED from the repository.
 */
export async function pushManifest(tx: Tx, input: PushManifest): Promise<{ isNew: boolean }> {
  const { repository, nowMs } = input
  await holdForWrite(tx, repository)
  const tags = [...new Set(input.tags)].sort()
  const accepted = await acceptManifest(tx, {
    repositoryId: repository.id,
    digest: input.digest,
    content: input.content,
    manifest: input.manifest,
    sparse: input.sparse,
    leasedUntilMs: tags.length === 0 ? nowMs + input.leaseMs : null,
    nowMs,
  })
  // Tag locks in key order: two pushes of the same tags can never wait for each other in a circle.
  for (const tag of tags) {
    await moveTag(tx, {
      repository,
      actor: input.actor,
      address: input.address,
      nowMs,
      tag,
      target: input.digest,
      expiresMs: input.expiresMs,
      ...(input.expected !== undefined && { expected: input.expected }),
    })
    await recordPush(tx, input, tag)
  }
  if (tags.length === 0 && accepted.isNew) await recordPush(tx, input, undefined)
  return { isNew: accepted.isNew }
}

/**
 * A push into a repository that does not exist, which is made in the same transaction: a push that is refused leaves none
 * behind. Undefined, with nothing done, when somebody else has just made it: whether the caller may push there is a new
 * question.
 * @throws DomainError as `putRepository` and `pushManifest`.
 */
export async function pushIntoNewRepository(
  tx: Tx,
  input: { repository: CreateRepository; push: Omit<PushManifest, 'repository'> },
): Promise<Repository | undefined> {
  const { created, ...repository } = await putRepository(tx, input.repository)
  if (!created) return undefined
  const { id, namespaceId, path } = repository
  await pushManifest(tx, { ...input.push, repository: { id, namespaceId, path } })
  return repository
}

async function recordPush(tx: Tx, input: PushManifest, tag: TagName | undefined): Promise<void> {
  const { repository } = input
  await recordEvent(tx, {
    kind: 'push_repo',
    namespaceId: repository.namespaceId,
    repositoryId: repository.id,
    actor: input.actor,
    address: input.address,
    occurredMs: input.nowMs,
    metadata: {
      ...imageKeys(input),
      ...(tag !== undefined && { tag }),
      manifest_digest: input.digest,
      mediaType: input.manifest.mediaType,
    },
  })
}
