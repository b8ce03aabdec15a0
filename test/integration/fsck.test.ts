import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import pg from 'pg'
import type { Check, Finding, Severity } from '../../src/fsck/finding.ts'
import { fsck } from '../../src/fsck/fsck.ts'
import { fsckCommand } from '../../src/fsck/report.ts'
import type { TestRepository } from '../support/client.ts'
import { forEachDatabase } from '../support/databases.ts'
import {
  anImage,
  anIndex,
  aReferrer,
  DOCKER_MANIFEST,
  descriptorOf,
  digestOf,
  type TestImage,
} from '../support/images.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

const HOUR_MS = 3_600_000

/** Writes past the server and past what the schema forbids, as a bad restore or a bug would. */
interface Vandal {
  all(query: string): Promise<Record<string, unknown>[]>
  run(query: string): Promise<void>
  close(): Promise<void>
}

async function openVandal(registry: TestRegistry): Promise<Vandal> {
  const { database } = registry.server.services.config
  if (database.kind === 'sqlite') {
    const raw = new DatabaseSync(database.path, { enableForeignKeyConstraints: false, timeout: 10_000 })
    raw.exec('pragma ignore_check_constraints = on')
    return {
      all: async (query) => raw.prepare(query).all(),
      run: async (query) => raw.exec(query),
      close: async () => raw.close(),
    }
  }
  const raw = new pg.Client({ connectionString: database.url.reveal() })
  await raw.connect()
  await raw.query('set session_replication_role = replica')
  return {
    all: async (query) => (await raw.query(query)).rows,
    run: async (query) => void (await raw.query(query)),
    close: () => raw.end(),
  }
}

function check(registry: TestRegistry, options: { hashBlobs?: boolean; pauseMs?: number } = {}) {
  const { db, stores, clock } = registry.server.services
  return fsck({ db, stores, clock, options: { hashBlobs: true, pauseMs: 0, ...options } })
}

function fileOfKey(registry: TestRegistry, key: string): string {
  const { storage } = registry.server.services.config
  const root = storage.locations[storage.preference[0] ?? '']?.path ?? assert.fail('there is no store')
  return join(root, key.slice(0, 2), key)
}

/** A registry to be damaged: each damage gets a repository, so each finding has a subject of its own. */
class Patient {
  readonly registry: TestRegistry
  readonly #vandal: Vandal
  #repositories = 0

  constructor(registry: TestRegistry, vandal: Vandal) {
    this.registry = registry
    this.#vandal = vandal
  }

  run(query: string): Promise<void> {
    return this.#vandal.run(query)
  }

  repository(): TestRepository {
    this.#repositories++
    return this.registry.as('owner').repository(`owner/r${this.#repositories}`)
  }

  async pushed(tag?: string) {
    const repository = this.repository()
    const image = await repository.push(anImage(), tag)
    const layer = digestOf(image.blobs[1] ?? '')
    return { repository, image, layer, subject: `${repository.path}@${image.digest}` }
  }

  /** A tag that has moved once. */
  async moved(): Promise<{ repository: TestRepository; subject: string }> {
    const { repository } = await this.pushed('v1')
    await repository.push(anImage(), 'v1')
    return { repository, subject: `${repository.path}:v1` }
  }

  /** A blob of which no manifest knows. */
  async leased(): Promise<{ digest: string; subject: string }> {
    const repository = this.repository()
    const digest = await repository.pushBlob(randomBytes(100))
    return { digest, subject: `${repository.path}@${digest}` }
  }

  async fileOf(digest: string): Promise<string> {
    const found = await this.#vandal.all(
      `select c.key from blob b join blob_copy c on c.blob_id = b.id where b.digest = '${digest}'`,
    )
    return fileOfKey(this.registry, String(found[0]?.['key']))
  }

  async openUpload(): Promise<{ file: string; subject: string }> {
    const repository = this.repository()
    const location = await repository.startUpload()
    const answer = await repository.client.send('PATCH', location, { body: randomBytes(50) })
    assert.equal(answer.status, 202)
    const id = location.split('/').at(-1)?.split('?')[0] ?? ''
    const found = await this.#vandal.all(`select key from upload where id = '${id}'`)
    return {
      file: fileOfKey(this.registry, String(found[0]?.['key'])),
      subject: `upload ${id.slice(0, 8)}… to ${repository.path}`,
    }
  }
}

const manifestOf = (digest: string) => `(select id from manifest where digest = '${digest}')`
const blobOf = (digest: string) => `(select id from blob where digest = '${digest}')`
const repositoryOf = ({ path }: TestRepository) => `(select id from repository where name = '${path.split('/')[1]}')`

interface Damage {
  readonly rule: string
  readonly expected: readonly [Check, Severity]
  /** True where foreign keys are broken as well, which the database's own checks see. */
  readonly alsoDatabase?: true
  /** What the finding must speak of, where its subject does not tell. */
  readonly says?: RegExp
  /** True where only reading every byte can tell. */
  readonly onlyByHash?: true
  /** Returns the subject of the finding. */
  damage(patient: Patient): Promise<string>
}

const damages: readonly Damage[] = [
  {
    rule: 'a live tag whose manifest has no row is a loss',
    expected: ['I1', 'loss'],
    alsoDatabase: true,
    async damage(patient) {
      const { repository, image } = await patient.pushed('v1')
      await patient.run(`delete from manifest_edge where manifest_id = ${manifestOf(image.digest)}`)
      await patient.run(`delete from manifest where digest = '${image.digest}'`)
      return `${repository.path}:v1`
    },
  },
  {
    rule: 'a live tag whose manifest counts as deleted is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { repository, image } = await patient.pushed('v1')
      await patient.run(`update manifest set deleted_ms = 1 where digest = '${image.digest}'`)
      return `${repository.path}:v1`
    },
  },
  {
    rule: 'a tag over a manifest of another repository is damage',
    expected: ['I7', 'damage'],
    async damage(patient) {
      const other = await patient.pushed('v1')
      const { repository, image } = await patient.pushed('v1')
      await repository.putManifest(image, 'v2')
      await patient.run(`update tag set manifest_id = ${manifestOf(other.image.digest)}
                          where repository_id = ${repositoryOf(repository)} and name = 'v1'`)
      return `${repository.path}:v1`
    },
  },
  {
    rule: 'a tag kept for another namespace is damage',
    expected: ['tag-window', 'damage'],
    async damage(patient) {
      const { repository } = await patient.pushed('v1')
      await patient.run(`update tag set namespace_id = (select max(id) from namespace)
                          where repository_id = ${repositoryOf(repository)}`)
      return `${repository.path}:v1`
    },
  },
  {
    rule: 'an interval that ends before it starts is damage',
    expected: ['I4', 'damage'],
    async damage(patient) {
      const { repository, subject } = await patient.moved()
      const { kind } = patient.registry.server.services.config.database
      if (kind === 'postgres') await patient.run('alter table tag drop constraint tag_check')
      await patient.run(`update tag set end_ms = start_ms - 1
                          where repository_id = ${repositoryOf(repository)} and end_ms is not null`)
      return subject
    },
  },
  {
    rule: 'intervals of one tag that overlap are damage',
    expected: ['I4', 'damage'],
    async damage(patient) {
      const { repository, subject } = await patient.moved()
      await patient.run(`update tag set end_ms = end_ms + 1000000
                          where repository_id = ${repositoryOf(repository)} and end_ms is not null`)
      return subject
    },
  },
  {
    rule: 'two open intervals of one tag are damage',
    expected: ['I4', 'damage'],
    async damage(patient) {
      const { repository, subject } = await patient.moved()
      await patient.run('drop index tag_open')
      await patient.run(`update tag set end_ms = null where repository_id = ${repositoryOf(repository)}`)
      return subject
    },
  },
  {
    rule: 'a blob that a repository has must not be condemned',
    expected: ['I1', 'damage'],
    async damage(patient) {
      const { repository, layer } = await patient.pushed('v1')
      await patient.run(`update blob set state = 'condemned', condemned_ms = 1 where digest = '${layer}'`)
      return `${repository.path}@${layer}`
    },
  },
  {
    rule: 'a blob that a manifest holds while its bytes are being deleted is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { repository, layer } = await patient.pushed('v1')
      await patient.run(`update blob set state = 'deleting', condemned_ms = 1 where digest = '${layer}'`)
      return `${repository.path}@${layer}`
    },
  },
  {
    rule: 'a blob that a manifest holds without a healthy copy is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { repository, layer } = await patient.pushed('v1')
      await patient.run(`update blob_copy set state = 'damaged' where blob_id = ${blobOf(layer)}`)
      return `${repository.path}@${layer}`
    },
  },
  {
    rule: 'a leased blob without a healthy copy is a loss',
    expected: ['I2', 'loss'],
    async damage(patient) {
      const { digest, subject } = await patient.leased()
      await patient.run(`update blob_copy set state = 'missing' where blob_id = ${blobOf(digest)}`)
      return subject
    },
  },
  {
    rule: 'a link that nothing holds and no lease ends is garbage',
    expected: ['I6', 'garbage'],
    async damage(patient) {
      const { digest, subject } = await patient.leased()
      await patient.run(`update repository_blob set leased_until_ms = null where blob_id = ${blobOf(digest)}`)
      return subject
    },
  },
  {
    rule: 'a live blob that no repository has is garbage',
    expected: ['I6', 'garbage'],
    async damage(patient) {
      const { digest } = await patient.leased()
      await patient.run(`delete from repository_blob where blob_id = ${blobOf(digest)}`)
      return digest
    },
  },
  {
    rule: 'a condemned blob to which the collector never comes is garbage',
    expected: ['I6', 'garbage'],
    async damage(patient) {
      const { digest } = await patient.leased()
      await patient.run(`delete from repository_blob where blob_id = ${blobOf(digest)}`)
      await patient.run(`update blob set state = 'condemned' where digest = '${digest}'`)
      return digest
    },
  },
  {
    rule: 'a missing object of a linked blob is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { layer } = await patient.pushed('v1')
      await unlink(await patient.fileOf(layer))
      return layer
    },
  },
  {
    rule: 'a missing object of a condemned blob is damage, since the next push would rely on it',
    expected: ['I1', 'damage'],
    async damage(patient) {
      const { digest } = await patient.leased()
      await unlink(await patient.fileOf(digest))
      await patient.run(`delete from repository_blob where blob_id = ${blobOf(digest)}`)
      await patient.run(`update blob set state = 'condemned', condemned_ms = 1 where digest = '${digest}'`)
      return digest
    },
  },
  {
    rule: 'a copy in a store that is not configured is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { layer } = await patient.pushed('v1')
      await patient.run(`update blob_copy set location = 'elsewhere' where blob_id = ${blobOf(layer)}`)
      return layer
    },
  },
  {
    rule: 'a torn object is a loss',
    expected: ['I3', 'loss'],
    async damage(patient) {
      const { layer } = await patient.pushed('v1')
      await truncate(await patient.fileOf(layer), 999)
      return layer
    },
  },
  {
    rule: 'an object with a flipped bit is a loss, which shows when blobs are hashed',
    expected: ['I3', 'loss'],
    onlyByHash: true,
    async damage(patient) {
      const { layer } = await patient.pushed('v1')
      const file = await patient.fileOf(layer)
      const bytes = await readFile(file)
      bytes[500] = (bytes[500] ?? 0) ^ 1
      await writeFile(file, bytes)
      return layer
    },
  },
  {
    rule: 'manifest content that does not hash to its digest is a loss',
    expected: ['I3', 'loss'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      const other = await patient.pushed('v1')
      await patient.run(`update manifest set content = (select content from manifest where digest = '${other.image.digest}')
                          where digest = '${image.digest}'`)
      return subject
    },
  },
  {
    rule: 'content that is no manifest is damage',
    expected: ['manifest', 'damage'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      await patient.run(`update manifest set media_type = '${DOCKER_MANIFEST}' where digest = '${image.digest}'`)
      return subject
    },
  },
  {
    rule: 'a recorded size that is not that of the content is damage',
    expected: ['manifest', 'damage'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      await patient.run(`update manifest set size_bytes = 7 where digest = '${image.digest}'`)
      return subject
    },
  },
  {
    rule: 'an edge that is not recorded is damage',
    expected: ['edges', 'damage'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      await patient.run(`delete from manifest_edge where manifest_id = ${manifestOf(image.digest)} and role = 'layer'`)
      return subject
    },
  },
  {
    rule: 'an edge in another role than the manifest gives it is damage',
    expected: ['edges', 'damage'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      await patient.run(`update manifest_edge set role = 'layer' where manifest_id = ${manifestOf(image.digest)}`)
      return subject
    },
  },
  {
    rule: 'an edge that holds another blob than it names is damage',
    expected: ['edges', 'damage'],
    async damage(patient) {
      const { image, layer, subject } = await patient.pushed('v1')
      await patient.run(`update manifest_edge set blob_id = ${blobOf(layer)}
                          where manifest_id = ${manifestOf(image.digest)} and role = 'config'`)
      return subject
    },
  },
  {
    rule: 'a layer that is neither held nor foreign is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      await patient.run(`update manifest_edge set blob_id = null
                          where manifest_id = ${manifestOf(image.digest)} and role = 'layer'`)
      return subject
    },
  },
  {
    rule: 'a deleted child of a served index is a loss',
    expected: ['I1', 'loss'],
    async damage(patient) {
      const { repository, image } = await patient.pushed()
      const index = await repository.push(anIndex([image]), 'v1')
      await patient.run(`update manifest set deleted_ms = 1 where digest = '${image.digest}'`)
      return `${repository.path}@${index.digest}`
    },
  },
  {
    rule: 'an index that does not hold a child which is there is damage',
    expected: ['edges', 'damage'],
    async damage(patient) {
      const { repository, image } = await patient.pushed()
      const index = await repository.push(anIndex([image]), 'v1')
      await patient.run(`update manifest_edge set child_id = null where manifest_id = ${manifestOf(index.digest)}`)
      return `${repository.path}@${index.digest}`
    },
  },
  {
    rule: 'a child in another repository is damage',
    expected: ['I7', 'damage'],
    async damage(patient) {
      const { repository, image } = await patient.pushed('child')
      const other = await patient.repository().push(image, 'v1')
      const index = await repository.push(anIndex([image]), 'v1')
      await patient.run(`update manifest_edge
                            set child_id = (select max(id) from manifest where digest = '${other.digest}')
                          where manifest_id = ${manifestOf(index.digest)}`)
      return `${repository.path}@${index.digest}`
    },
  },
  {
    rule: 'an index without one of its children is a note',
    expected: ['sparse', 'note'],
    async damage(patient) {
      const { repository, image } = await patient.pushed()
      const index = await repository.push(anIndex([image, anImage()]), 'v1')
      return `${repository.path}@${index.digest}`
    },
  },
  {
    rule: 'a manifest that nothing holds and no lease ends is garbage',
    expected: ['I6', 'garbage'],
    async damage(patient) {
      const { image, subject } = await patient.pushed()
      await patient.run(`update manifest set leased_until_ms = null where digest = '${image.digest}'`)
      return subject
    },
  },
  {
    rule: 'a referrer that is not listed under its subject is damage',
    expected: ['I12', 'damage'],
    async damage(patient) {
      const { repository, image } = await patient.pushed('v1')
      const referrer = await repository.push(aReferrer(image, 'application/vnd.example.sbom'))
      await patient.run(`update manifest set subject_digest = null where digest = '${referrer.digest}'`)
      return `${repository.path}@${referrer.digest}`
    },
  },
  {
    rule: 'a manifest listed as referrer that names no subject is damage',
    expected: ['I12', 'damage'],
    async damage(patient) {
      const { image, subject } = await patient.pushed('v1')
      await patient.run(`update manifest set subject_digest = '${digestOf('x')}' where digest = '${image.digest}'`)
      return subject
    },
  },
  {
    rule: 'a referrer listed with another artifact type is damage',
    expected: ['I12', 'damage'],
    async damage(patient) {
      const { repository, image } = await patient.pushed('v1')
      const referrer = await repository.push(aReferrer(image, 'application/vnd.example.sbom'))
      await patient.run(`update manifest set artifact_type = 'text/plain' where digest = '${referrer.digest}'`)
      return `${repository.path}@${referrer.digest}`
    },
  },
  {
    rule: 'an open upload whose object is missing is a loss',
    expected: ['upload', 'loss'],
    async damage(patient) {
      const { file, subject } = await patient.openUpload()
      await unlink(file)
      return subject
    },
  },
  {
    rule: 'an open upload whose object is shorter than what was acknowledged is a loss',
    expected: ['upload', 'loss'],
    async damage(patient) {
      const { file, subject } = await patient.openUpload()
      await truncate(file, 49)
      return subject
    },
  },
  {
    rule: 'an object that no row names is garbage once it is old enough',
    expected: ['I6', 'garbage'],
    async damage(patient) {
      const [young, key] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')]
      await writeFile(fileOfKey(patient.registry, young), 'perhaps somebody is writing it')
      const file = fileOfKey(patient.registry, key)
      await writeFile(file, 'left behind')
      const written = new Date(patient.registry.clock.nowMs() - 2 * HOUR_MS)
      await utimes(file, written, written)
      return `default/${key}`
    },
  },
  {
    rule: 'a tag that no audit entry speaks of is damage',
    expected: ['I10', 'damage'],
    async damage(patient) {
      const { repository } = await patient.pushed('v1')
      await repository.push(anImage(), 'v2')
      await patient.run(`delete from audit_entry
                          where repository_id = ${repositoryOf(repository)} and metadata like '%"tag":"v1"%'`)
      return `${repository.path}:v1`
    },
  },
  {
    rule: 'a row that names a row which is not there is damage',
    expected: ['database', 'damage'],
    says: /^Table repository_grant: 1 row/,
    async damage(patient) {
      await patient.run("insert into repository_grant (account_id, repository_id, role) values (424242, 1, 'read')")
      return 'the database'
    },
  },
]

forEachDatabase((database) => {
  test('every kind of damage is found, and nothing else with it', async (t) => {
    const registry = await startRegistry(t, { database, config: { registry: { sparseIndex: true } } })
    await registry.addUser('other')
    const vandal = await openVandal(registry)
    const patient = new Patient(registry, vandal)
    await patient.pushed('v1')
    assert.deepEqual((await check(registry)).findings, [])
    const done: { damage: Damage; subject: string }[] = []
    try {
      for (const damage of damages) done.push({ damage, subject: await damage.damage(patient) })
    } finally {
      await vandal.close()
    }

    const report = await check(registry)
    for (const { damage, subject } of done) {
      await t.test(damage.rule, () => {
        const found = report.findings.filter((finding) => isOf(finding, damage, subject))
        assert.deepEqual(
          found.map((finding) => [finding.check, finding.severity]),
          [damage.expected],
          JSON.stringify(found, undefined, 2),
        )
        assert.match(found[0]?.explanation ?? '', /^[A-Z0-9].+\.$/)
      })
    }
    const others = report.findings.filter((finding) => !done.some((each) => isOf(finding, each.damage, each.subject)))
    assert.deepEqual(
      others.map((finding) => finding.check),
      damages.filter((damage) => damage.alsoDatabase).map(() => 'database'),
      JSON.stringify(others, undefined, 2),
    )
    const withoutHashing = await check(registry, { hashBlobs: false })
    const missed = done.filter((each) => !withoutHashing.findings.some((it) => isOf(it, each.damage, each.subject)))
    assert.deepEqual(
      missed.map((each) => each.damage.rule),
      damages.filter((damage) => damage.onlyByHash).map((damage) => damage.rule),
    )
    assert.equal(fsckCommand(report).exitCode, 1)
  })

  test('a healthy registry with everything in it has no findings', async (t) => {
    const registry = await startRegistry(t, {
      database,
      config: { gc: { graceMs: 0, quarantineMs: 0 }, registry: { sparseIndex: true } },
    })
    const repository = registry.as('owner').repository('owner/api')
    const [first, second] = [await repository.push(anImage(), 'v1'), await repository.push(anImage())]
    await repository.push(anIndex([first, second]), 'multi')
    await repository.push(aReferrer(first, 'application/vnd.example.signature'))
    await repository.push(withForeignLayer(), 'windows')
    await repository.push(anImage(), 'v1')
    await repository.push(anImage(), 'gone')
    assert.equal((await repository.send('DELETE', 'manifests/gone')).status, 202)
    const mounted = registry.as('owner').repository('owner/mounted')
    await mounted.push(anImage(), 'v1')
    const [blob] = first.blobs
    await mounted.send('POST', `blobs/uploads/?mount=${digestOf(blob ?? '')}&from=owner/api`)
    const [open, cancelled] = [await repository.startUpload(), await repository.startUpload()]
    for (const location of [open, cancelled])
      assert.equal((await repository.client.send('PATCH', location, { body: randomBytes(100) })).status, 202)
    await repository.client.send('DELETE', cancelled)
    assert.deepEqual((await check(registry)).findings, [])
    // Past the leases and the time machine: most of it goes.
    registry.clock.advance(60 * 24 * HOUR_MS)
    await registry.collect()
    const { findings, looked } = await check(registry)
    assert.deepEqual(findings, [])
    assert.ok((looked['manifests'] ?? 0) >= 4, JSON.stringify(looked))
    assert.equal(looked['uploads'], 0)
  })

  test('nothing is found in a registry that is pushed to, deleted from and collected all the while', async (t) => {
    const registry = await startRegistry(t, { database, config: { gc: { graceMs: 0, quarantineMs: 0 } } })
    let checks = 0
    const seen: Finding[] = []
    const churn = async (name: string) => {
      const repository = registry.as('owner').repository(`owner/${name}`)
      for (let round = 0; checks < 8; round++) {
        const image = await repository.push(anImage(), `t${round % 3}`)
        await repository.push(anIndex([image]), 'multi')
        if (round % 2 === 1) await repository.send('DELETE', `manifests/t${round % 3}`)
        await repository.startUpload()
      }
    }
    const collect = async () => {
      while (checks < 8) await registry.collect()
    }
    const look = async () => {
      try {
        for (; checks < 8; checks++) seen.push(...(await check(registry, { pauseMs: 5 })).findings)
      } finally {
        checks = 8
      }
    }
    await Promise.all([look(), churn('a'), churn('b'), collect()])
    assert.deepEqual(seen, [])
  })
})

function withForeignLayer(): TestImage {
  const foreign = descriptorOf(randomBytes(10), 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', {
    urls: ['https://example.com/layer'],
  })
  const image = anImage()
  const manifest = JSON.parse(image.manifest) as { layers: unknown[] }
  manifest.layers.push(foreign)
  const text = JSON.stringify(manifest)
  return { ...image, manifest: text, digest: digestOf(text) }
}

function isOf(finding: Finding, damage: Damage, subject: string): boolean {
  return finding.subject === subject && (damage.says ?? /./).test(finding.explanation)
}
