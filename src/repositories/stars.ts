import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import type { Listed } from './listing.ts'
import type { Viewer } from './reach.sql.ts'
import { insertStar, removeStar, selectStarCount, selectStarred } from './stars.sql.ts'

/** Of one account. Nobody has so many favourites. */
const MAX_STARS = 10_000

/** What an account has starred and the viewer may still read, in the order of ids, after `afterId`. */
export function listStarred(
  tx: Tx,
  input: { accountId: number; viewer: Viewer; afterId: number; limit: number },
): Promise<Listed[]> {
  return selectStarred(tx, input.accountId, input.viewer, input.afterId, input.limit)
}

interface Star {
  readonly accountId: number
  readonly repositoryId: number
}

/** Stars a repository that the caller was found to see; may run twice. @throws DomainError REFUSED: 10,000 are enough. */
export async function putStar(tx: Tx, { accountId, repositoryId, nowMs }: Star & { nowMs: number }): Promise<void> {
  const held = await selectStarCount(tx, accountId)
  if ((held?.stars ?? 0) >= MAX_STARS) throw refuse('REFUSED', {}, `An account has at most ${MAX_STARS} stars.`)
  await insertStar(tx, accountId, repositoryId, nowMs)
}

/** Takes a star away; may run twice. */
export async function deleteStar(tx: Tx, { accountId, repositoryId }: Star): Promise<void> {
  await removeStar(tx, accountId, repositoryId)
}
