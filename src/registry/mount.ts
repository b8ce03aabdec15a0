import { findLinkedRepository } from '../blobs/blobs.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../repositories/repositories.ts'
import { type Caller, covers } from './caller.ts'
import type { RegistryServices } from './services.ts'

/**
 * Looks for a blob among the repositories of the caller's own namespaces and grants. The search runs over those, not over
 * the holders of the digest, so it takes as long for a blob that others have as for one that nobody has.
 */
export async function findMountSource(
  services: RegistryServices,
  caller: Caller,
  target: Repository,
  digest: Digest,
): Promise<number | undefined> {
  const found = await services.db.read(findLinkedRepository, {
    accountId: caller.accountId,
    targetId: target.id,
    digest,
  })
  if (found === undefined) return undefined
  if (found.repositoryId === target.id) return target.id
  return covers(caller.ceiling, found.path, 'pull') ? found.repositoryId : undefined
}
