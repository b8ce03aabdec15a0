/** Rows in our database by the hundred thousand, written past a server that is down. The content is made up. */
import { DatabaseSync } from 'node:sqlite'
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../support/images.ts'
import { USER } from './ours.ts'

/**
 * Opens the database of a stopped server, and writes all or nothing. `statistics: false` leaves the planner as a server of
 * ours has it, which gathers none.
 */
export function seedDatabase(
  path: string,
  write: (db: DatabaseSync) => void,
  { statistics = true }: { readonly statistics?: boolean } = {},
): void {
  const db = new DatabaseSync(path)
  try {
    db.exec('pragma journal_mode = wal; pragma synchronous = off; pragma foreign_keys = off; begin')
    write(db)
    db.exec(`commit; ${statistics ? 'analyze; ' : ''}pragma wal_checkpoint(truncate)`)
  } finally {
    db.close()
  }
}

const numbers = 'with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :count)'

/** A private repository of the bench user. @returns its id. */
export function insertRepository(db: DatabaseSync, path: string): number {
  const name = path.slice(path.indexOf('/') + 1)
  const row = db
    .prepare(`insert into repository (namespace_id, name, visibility, state, description, created_ms)
              select id, :name, 'private', 'NORMAL', '', 0 from namespace where name = :user returning id`)
    .get({ name, user: USER })
  return Number(row?.['id'])
}

/** A manifest of the usual size. The peer serves bytes of the same length. */
export function paddedManifest(mediaType: string, note: string): string {
  const descriptor = (type: string) => ({ mediaType: type, digest: `sha256:${'0'.repeat(64)}`, size: 1024 })
  const layers = Array.from({ length: 7 }, () => descriptor(OCI_LAYER))
  const config = descriptor(OCI_CONFIG)
  const annotations = { 'org.example.note': note.padStart(80, ' ') }
  return JSON.stringify({ schemaVersion: 2, mediaType, config, layers, annotations })
}

/** The digest that stands for number `n`; nothing hashes to it, but nothing here compares it with bytes either. */
export function digestOfNumber(kind: 'manifest' | 'blob', n: number): string {
  return `sha256:${kind === 'manifest' ? 'a' : 'b'}${n.toString(16).padStart(63, '0')}`
}

export interface ManifestSeed {
  readonly repositoryId: number
  readonly count: number
  /** Number of the first one. */
  readonly from: number
  /** When the collector looks at them; null for those that a tag holds. */
  readonly leasedUntilMs: number | null
}

export function insertManifests(db: DatabaseSync, { repositoryId, count, from, leasedUntilMs }: ManifestSeed): void {
  const content = Buffer.from(paddedManifest(OCI_MANIFEST, ''))
  db.prepare(`${numbers}
    insert into manifest (repository_id, digest, media_type, size_bytes, content, created_ms, leased_until_ms)
    select :repositoryId, printf('sha256:a%063x', i + :from), :type, length(:content), :content, 0, :leasedUntilMs from n`).run(
    {
      repositoryId: BigInt(repositoryId),
      count: BigInt(count),
      from: BigInt(from),
      type: OCI_MANIFEST,
      content,
      leasedUntilMs: leasedUntilMs === null ? null : BigInt(leasedUntilMs),
    },
  )
}

export function insertTagPerManifest(
  db: DatabaseSync,
  { repositoryId, tag, digest }: { repositoryId: number; tag: string; digest: string },
): void {
  db.prepare(`
    insert into tag (namespace_id, repository_id, name, manifest_id, start_ms)
    select r.namespace_id, r.id, :tag, m.id, 0
      from repository r join manifest m on m.repository_id = r.id and m.digest = :digest
     where r.id = :repositoryId`).run({ repositoryId: BigInt(repositoryId), tag, digest })
}

/** Names in byte order, so that a page begins where it says. */
export function tagName(n: number): string {
  return `t${String(n).padStart(7, '0')}`
}

/** `count` tags of the one manifest of a repository. */
export function insertTags(db: DatabaseSync, { repositoryId, count }: { repositoryId: number; count: number }): void {
  db.prepare(`${numbers}
    insert into tag (namespace_id, repository_id, name, manifest_id, start_ms)
    select r.namespace_id, r.id, printf('t%07d', i), m.id, 0
      from n, repository r join manifest m on m.repository_id = r.id
     where r.id = :repositoryId`).run({ repositoryId: BigInt(repositoryId), count: BigInt(count) })
}

/** Blobs of a repository that edges hold, with a copy each whose object does not exist. */
export function insertBlobs(db: DatabaseSync, { repositoryId, count }: { repositoryId: number; count: number }): void {
  db.prepare(`${numbers}
    insert into blob (digest, size_bytes, state) select printf('sha256:b%063x', i), 1024, 'live' from n`).run({
    count: BigInt(count),
  })
  db.exec(`
    insert into blob_copy (blob_id, location, key, state)
    select id, 'default', lower(hex(randomblob(16))), 'present' from blob`)
  db.prepare(`
    insert into repository_blob (repository_id, blob_id, leased_until_ms) select :repositoryId, id, null from blob`).run(
    {
      repositoryId: BigInt(repositoryId),
    },
  )
}

/** Gives each manifest of a repository its own blobs, in the order of their rows. */
export function insertEdges(
  db: DatabaseSync,
  { repositoryId, blobsEach }: { repositoryId: number; blobsEach: number },
): void {
  db.prepare(`
    insert into manifest_edge (manifest_id, position, repository_id, role, digest, media_type, size_bytes, blob_id)
    select m.id, b.position, :repositoryId, case b.position when 0 then 'config' else 'layer' end, b.digest, :type, 1024, b.id
      from (select id, row_number() over (order by id) - 1 as number from manifest where repository_id = :repositoryId) m
      join (select id, digest, (row_number() over (order by id) - 1) / :each as number,
                   (row_number() over (order by id) - 1) % :each as position from blob) b on b.number = m.number`).run({
    repositoryId: BigInt(repositoryId),
    each: BigInt(blobsEach),
    type: OCI_LAYER,
  })
}
