import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { openFilesystemStore } from './filesystem.ts'
import { newObjectKey } from './keys.ts'
import { MARKER, markStore, recogniseStore } from './marker.ts'

const [ID, OTHER] = ['1'.repeat(32), '2'.repeat(32)]

async function anEmptyFolder(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'longshore-marker-'))
  t.after(() => rm(root, { recursive: true }))
  return { location: 'local', root }
}

describe('the marker of a store', () => {
  test('is made once, also by several at the same time, and leaves nothing beside it', async (t) => {
    const place = await anEmptyFolder(t)
    assert.equal(await recogniseStore(place, { id: undefined, sample: [] }), undefined)
    const made = await Promise.all([ID, OTHER].map((id) => markStore(place, id)))
    assert.equal(made[0], made[1])
    assert.equal(await markStore(place, '3'.repeat(32)), made[0])
    assert.deepEqual(await readdir(place.root), [MARKER])
    const written = JSON.parse(await readFile(join(place.root, MARKER), 'utf8'))
    assert.deepEqual(written, { id: made[0], location: 'local' })
  })

  test('tells a store that holds bytes from every other folder', async (t) => {
    const place = await anEmptyFolder(t)
    const sample = [newObjectKey()]
    await assert.rejects(recogniseStore(place, { id: ID, sample }), /It has no file/)
    await markStore(place, ID)
    assert.equal(await recogniseStore(place, { id: ID, sample }), ID)
    await assert.rejects(recogniseStore(place, { id: OTHER, sample }), /names another store/)
    // Nothing was ever put there: whatever store it is, it may be this one.
    assert.equal(await recogniseStore(place, { id: OTHER, sample: [] }), ID)
  })

  test('is given to a store that was filled before there were markers, if one of its objects is there', async (t) => {
    const place = await anEmptyFolder(t)
    const [lost, kept] = [newObjectKey(), newObjectKey()]
    const known = { id: undefined, sample: [lost, kept] }
    await assert.rejects(recogniseStore(place, known), /None of the objects that should be in it is there; 2 were/)
    await mkdir(join(place.root, kept.slice(0, 2)))
    await writeFile(join(place.root, kept.slice(0, 2), kept), 'bytes')
    assert.equal(await recogniseStore(place, known), undefined)
  })

  test('that is damaged stops the start instead of being replaced', async (t) => {
    const place = await anEmptyFolder(t)
    await writeFile(join(place.root, MARKER), '{"id": "cut')
    await assert.rejects(recogniseStore(place, { id: ID, sample: [] }), /cannot be understood/)
    await assert.rejects(markStore(place, ID), /cannot be understood/)
    assert.equal(await readFile(join(place.root, MARKER), 'utf8'), '{"id": "cut')
  })

  test('is no strange file in the store', async (t) => {
    const place = await anEmptyFolder(t)
    const strange: string[] = []
    const store = await openFilesystemStore({ ...place, onStrange: (path) => strange.push(path) })
    await markStore(place, ID)
    assert.deepEqual([await store.list(undefined, 10), strange], [[], []])
    await store.close()
  })
})
