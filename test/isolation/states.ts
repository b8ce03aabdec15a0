import { addBlob } from '../../src/blobs/blobs.ts'
import { claimUpload } from '../../src/blobs/uploads.ts'
import type { Body } from '../../src/db/db.ts'
import { pushManifest } from '../../src/tags/push.ts'
import { modules } from '../support/fixtures.ts'
import type { Arena } from './arena.ts'
import { config, DUE, image, index, key, layer, NOW, otherConfig, otherImage, otherLayer, referrer } from './content.ts'
import { A, B, copyOf, pushOf } from './operations.ts'

/** The states from which orders are played. In each of them the collector finds everything due that can be. */

const FAR = NOW + 1_000_000_000

async function repositories(arena: Arena): Promise<void> {
  const { makeRepositories } = modules.fixtures
  await arena.db.transaction(makeRepositories as Body<{ count: number }, number[]>, { count: 2 })
}

async function put(arena: Arena, object: string, blob: typeof layer, leasedUntilMs: number): Promise<void> {
  await arena.db.transaction(addBlob, copyOf(A.id, object, leasedUntilMs, blob))
  arena.objects.add(key(object))
}

/** Upload sessions whose bytes are durable, one in each repository: `aa` in A, `bb` in B. */
async function uploads(arena: Arena): Promise<void> {
  for (const [object, repository] of [
    ['aa', A],
    ['bb', B],
  ] as const) {
    await arena.db.transaction(claimUpload, {
      id: `upload-${object}`,
      repositoryId: repository.id,
      repositoryPath: repository.path,
      subject: 'test',
      location: 'disk',
      key: key(object),
      issuedMs: NOW,
      nowMs: NOW,
      claim: 'claim',
      claimedUntilMs: FAR,
      adoptedBytes: 0,
    })
    arena.objects.add(key(object))
  }
}

/** Another image stands under v1; the layer and config of `image` were uploaded long ago and nothing names them. */
export async function uploaded(arena: Arena): Promise<void> {
  await repositories(arena)
  await uploads(arena)
  await put(arena, 'c1', config, DUE)
  await put(arena, 'd1', layer, DUE)
  await put(arena, 'c2', otherConfig, FAR)
  await put(arena, 'd2', otherLayer, FAR)
  await arena.db.transaction(pushManifest, pushOf(otherImage, 'v1'))
}

/** As `uploaded`, and `image` was pushed by digest so long ago that its lease has run out. */
export async function untagged(arena: Arena): Promise<void> {
  await uploaded(arena)
  await arena.db.transaction(pushManifest, pushOf(image))
  await makeManifestsDue(arena)
}

/** `image` under an index and with a referrer, none of them tagged, all of them due. */
export async function tree(arena: Arena): Promise<void> {
  await uploaded(arena)
  for (const one of [image, index, referrer]) await arena.db.transaction(pushManifest, pushOf(one))
  await makeManifestsDue(arena)
}

/** `image` under v1 in an interval that is about to expire, another image in an interval that has ended. */
export async function expiring(arena: Arena): Promise<void> {
  await uploaded(arena)
  await arena.db.transaction(pushManifest, { ...pushOf(image, 'v1', { expiresMs: NOW + 3 }), nowMs: NOW - 5 })
  await arena.execute('update tag set start_ms = $1 where end_ms is not null', [NOW - 50])
}

/** The other image's only interval has ended, it is looked at in the same millisecond in which that is forgotten. */
export async function past(arena: Arena): Promise<void> {
  await untagged(arena)
  await arena.db.transaction(pushManifest, pushOf(image, 'v1'))
  await arena.execute('update manifest set leased_until_ms = $1', [NOW])
}

/** The layer was condemned and its time is up; nobody has it. */
export async function condemned(arena: Arena): Promise<void> {
  await repositories(arena)
  await uploads(arena)
  await put(arena, 'd1', layer, DUE)
  await arena.execute('delete from repository_blob')
  await arena.execute(`update blob set state = 'condemned', condemned_ms = $1`, [DUE])
}

async function makeManifestsDue(arena: Arena): Promise<void> {
  await arena.execute('update manifest set leased_until_ms = $1 where leased_until_ms is not null', [DUE])
}

export type State = (arena: Arena) => Promise<void>
