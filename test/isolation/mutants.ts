/** Wrong ways of doing what the product does. The suite must see each of them. */

import { insertBlob, insertCopy, selectBlobByDigest, selectHealthyCopy, upsertLink } from '../../src/blobs/blobs.sql.ts'
import { mountBlob, type NewCopy } from '../../src/blobs/blobs.ts'
import type { Tx } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { type Link, lockDueLink, removeLinkRow, selectEdgeOfLink } from '../../src/gc/gc.sql.ts'
import { type PushManifest, pushManifest } from '../../src/tags/push.ts'

/** Looks for links and condemns in one statement, on a row that it has not locked. */
export async function collectInOneStatement(
  tx: Tx,
  input: { links: readonly Link[]; nowMs: number },
): Promise<{ condemned: number }> {
  let condemned = 0
  for (const link of input.links) {
    if ((await lockDueLink(tx, link, input.nowMs)) === undefined) continue
    if (await selectEdgeOfLink(tx, link)) continue
    await removeLinkRow(tx, link)
    condemned += await tx.run(sql`
      update blob set state = 'condemned', condemned_ms = ${input.nowMs}
       where id = ${link.blobId} and state = 'live'
         and not exists (select 1 from repository_blob l where l.blob_id = ${link.blobId})`)
  }
  return { condemned }
}

/** A tag is moved without waiting for others that move it. */
export function pushWithoutTagLock(tx: Tx, input: PushManifest): Promise<{ isNew: boolean }> {
  const unlocked: Tx = {
    dialect: tx.dialect,
    all: (query) => tx.all(query),
    first: (query) => tx.first(query),
    run: (query) => tx.run(query),
    lock: async () => undefined,
    signal: (topic, key) => tx.signal(topic, key),
  }
  return pushManifest(unlocked, input)
}

/** Links a blob that was found without looking whether it is condemned or on its way out. */
export async function addWithoutRevival(tx: Tx, input: NewCopy): Promise<{ kept: boolean }> {
  const known = await selectBlobByDigest(tx, input.digest)
  const blob = known ?? (await insertBlob(tx, input.digest, input.sizeBytes))
  if (blob === undefined) throw new Error('The mutant does not meet this')
  await upsertLink(tx, input.repositoryId, blob.id, input.leasedUntilMs)
  if (await selectHealthyCopy(tx, blob.id)) return { kept: false }
  await insertCopy(tx, blob.id, input.location, input.key)
  return { kept: true }
}

/** Mounts what it has seen, without holding it. */
export async function mountWithoutHold(tx: Tx, input: Parameters<typeof mountBlob>[1]): Promise<boolean> {
  const unheld: Tx = {
    ...tx,
    dialect: { ...tx.dialect, forKeyShare: () => sql`` },
  }
  return mountBlob(unheld, input)
}
