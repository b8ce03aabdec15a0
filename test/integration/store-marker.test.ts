import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { MARKER } from '../../src/storage/marker.ts'
import { forEachDatabase } from '../support/databases.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

async function withBlob(registry: TestRegistry) {
  const repository = registry.as('owner').repository('owner/kept')
  const bytes = randomBytes(5_000)
  const digest = await repository.pushBlob(bytes)
  return async () => {
    const answer = await registry.as('owner').repository('owner/kept').send('GET', `blobs/${digest}`)
    assert.deepEqual([answer.status, answer.body.equals(bytes)], [200, true])
  }
}

describe('the store of a registry', () => {
  forEachDatabase((database) => {
    test('that is not mounted stops the start, which leaves the empty folder as it is and takes no blob for lost', async (t) => {
      const registry = await startRegistry(t, { database })
      const isKept = await withBlob(registry)
      const root = join(registry.dir, 'storage')
      await registry.server.close()
      await rename(root, `${root}.away`)
      await mkdir(root)
      await assert.rejects(registry.restart(), ({ message }: Error) => {
        const parts = [root, 'the store default', 'not mounted', 'DISTRIBUTED_STORAGE_CONFIG', MARKER]
        return parts.every((part) => message.includes(part))
      })
      assert.deepEqual(await readdir(root), [])
      await rm(root, { recursive: true })
      await rename(`${root}.away`, root)
      await registry.restart()
      await isKept()
    })

    test('of another installation is refused, and taken again once its marker is that of this one', async (t) => {
      const registry = await startRegistry(t, { database })
      const isKept = await withBlob(registry)
      const marker = join(registry.dir, 'storage', MARKER)
      const own = await readFile(marker, 'utf8')
      const other = 'f'.repeat(32)
      await writeFile(marker, JSON.stringify({ id: other, location: 'default' }))
      await assert.rejects(registry.restart(), ({ message }: Error) => {
        return message.includes(`names another store, ${other}`) && message.includes(own.trim())
      })
      await writeFile(marker, own)
      await registry.restart()
      await isKept()
    })

    test('may be exchanged as long as nothing was put into it', async (t) => {
      const registry = await startRegistry(t, { database })
      const root = join(registry.dir, 'storage')
      await registry.server.close()
      await rm(root, { recursive: true })
      await registry.restart()
      const isKept = await withBlob(registry)
      await registry.restart()
      await isKept()
    })
  })
})
