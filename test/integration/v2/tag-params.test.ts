import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, digestOf } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry } from '../../support/registry.ts'

const queryOf = (tags: readonly string[]) => tags.map((tag) => `tag=${encodeURIComponent(tag)}`).join('&')

forEachDatabase((database) => {
  describe('tags that are set with a push by digest', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // M16
    test('all tags of the query name the manifest, and the answer lists them', async () => {
      const repository = repositoryOf('several')
      const image = await repository.push(anImage())
      const tags = Array.from({ length: 12 }, (_, at) => `v${at}`)
      const answer = await repository.tryPutManifest(image, `${image.digest}?${queryOf(tags)}`)
      assert.equal(answer.status, 201, answer.text())
      assert.equal(answer.headers['docker-content-digest'], image.digest)
      assert.deepEqual(String(answer.headers['oci-tag']).split(', '), tags)
      for (const tag of tags) assert.equal(await repository.resolve(tag), image.digest)
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, [...tags].sort())
    })

    // M16
    test('a tag that stands twice in the query is set and answered once', async () => {
      const repository = repositoryOf('twice')
      const image = await repository.push(anImage())
      const answer = await repository.tryPutManifest(image, `${image.digest}?${queryOf(['a', 'b', 'a'])}`)
      assert.deepEqual([answer.status, answer.headers['oci-tag']], [201, 'a, b'])
    })

    // M16
    test('when one tag cannot be set none is', async () => {
      const repository = repositoryOf('together')
      const [old, image] = [await repository.push(anImage(), 'taken'), await repository.push(anImage())]
      const bad = await repository.tryPutManifest(image, `${image.digest}?${queryOf(['fine', '-bad-'])}`)
      assertRefusal(bad, 400, 'TAG_INVALID')
      const guarded = await repository.tryPutManifest(image, `${image.digest}?${queryOf(['fine', 'taken'])}`, {
        'if-none-match': '*',
      })
      assertRefusal(guarded, 412, 'PRECONDITION_FAILED')
      assert.equal(await repository.resolve('fine'), undefined)
      assert.equal(await repository.resolve('taken'), old.digest)
    })

    // M16
    test('more tags than a push may set are refused with the limit', async () => {
      const repository = repositoryOf('many')
      const image = await repository.push(anImage())
      const tags = Array.from({ length: 101 }, (_, at) => `v${at}`)
      const answer = await repository.tryPutManifest(image, `${image.digest}?${queryOf(tags)}`)
      assertRefusal(answer, 400, 'INVALID_REQUEST')
      assert.match(answer.text(), /100 tags/)
    })

    // M16
    test('the digest is checked before any tag is set', async () => {
      const repository = repositoryOf('mismatch')
      const image = await repository.push(anImage())
      const answer = await repository.tryPutManifest(image, `${digestOf('other')}?tag=a`)
      assertRefusal(answer, 400, 'DIGEST_INVALID')
      assert.equal(answer.headers['oci-tag'], undefined)
      assert.equal(await repository.resolve('a'), undefined)
    })

    // M16, and case 91: many pushes that set the same tags never wait for each other in a circle
    test('pushes at the same time that set the same tags in different order all succeed', async () => {
      const repository = repositoryOf('crossed')
      const images = [await repository.push(anImage()), await repository.push(anImage())]
      const tags = ['a', 'b', 'c', 'd']
      const answers = await Promise.all(
        Array.from({ length: 24 }, (_, at) => {
          const image = images[at % 2] ?? anImage()
          const order = at % 2 ? tags : [...tags].reverse()
          return repository.tryPutManifest(image, `${image.digest}?${queryOf(order)}`)
        }),
      )
      assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [201])
      const named = await Promise.all(tags.map((tag) => repository.resolve(tag)))
      assert.equal(new Set(named).size, 1, 'One push sets all its tags at one moment')
    })
  })
})
