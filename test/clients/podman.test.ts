import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { aBusyboxImage, type BusyboxImage, writeDockerArchive } from '../support/clients/busybox-image.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import { describeLifetime, shareServerProcess } from '../support/clients/server-process.ts'
import { forEachDatabase } from '../support/databases.ts'
import { OCI_MANIFEST } from '../support/images.ts'

describe('podman', () => {
  before(ensureClients)

  forEachDatabase((database) => {
    const server = shareServerProcess(['ann', 'bob'], { database })
    const lifetime = describeLifetime()
    let ann: ContainerTools
    before(async () => {
      ann = await ContainerTools.prepare(lifetime, { insecure: server().host })
      await ann.login('podman', server().host, 'ann')
    })

    const nameOf = (path: string) => `${server().host}/${path}`

    /** An image that no other test has, in podman's store under a name of this registry. */
    const load = async (tools: ContainerTools, path: string): Promise<BusyboxImage> => {
      const image = await aBusyboxImage(`${path}\n`)
      const archive = join(tools.dir, 'image.tar')
      await writeDockerArchive(archive, nameOf(path), image)
      await tools.run('podman', 'load', '--quiet', '--input', archive)
      return image
    }

    test('podman tags, pushes and pulls an image', async () => {
      const image = await load(ann, 'ann/start:1')
      await ann.run('podman', 'tag', nameOf('ann/start:1'), nameOf('ann/tagged:2'))
      await ann.run('podman', 'push', nameOf('ann/tagged:2'))
      await server().as('ann').repository('ann/tagged').assertWhole('2')
      await ann.run('podman', 'rmi', '--all', '--force')
      await ann.run('podman', 'pull', nameOf('ann/tagged:2'))
      assert.equal(await ann.runImage(nameOf('ann/tagged:2')), image.message.trimEnd())
    })

    test('podman pulls an image by its digest', async () => {
      const image = await load(ann, 'ann/digest:1')
      const digestFile = join(ann.dir, 'digest')
      await ann.run('podman', 'push', '--digestfile', digestFile, nameOf('ann/digest:1'))
      const digest = await readFile(digestFile, 'utf8')
      assert.equal(await server().as('ann').repository('ann/digest').resolve('1'), digest)
      await ann.run('podman', 'rmi', '--all', '--force')
      await ann.run('podman', 'pull', nameOf(`ann/digest@${digest}`))
      assert.equal(await ann.runImage(nameOf(`ann/digest@${digest}`)), image.message.trimEnd())
    })

    test('podman push creates a repository that did not exist', async () => {
      const repository = server().as('ann').repository('ann/new/deeper')
      assert.equal((await repository.send('GET', 'tags/list')).status, 404)
      await load(ann, 'ann/new/deeper:1')
      await ann.run('podman', 'push', nameOf('ann/new/deeper:1'))
      assert.deepEqual((await repository.send('GET', 'tags/list')).json(), { name: 'ann/new/deeper', tags: ['1'] })
    })

    test('a new user logs in and pushes into the namespace of their own name', async (t) => {
      await server().createUsers('newcomer')
      const tools = await ContainerTools.prepare(t, { insecure: server().host })
      assert.match(await tools.login('podman', server().host, 'newcomer'), /Login Succeeded/)
      await load(tools, 'newcomer/mine:1')
      await tools.run('podman', 'push', nameOf('newcomer/mine:1'))
      await server().as('newcomer').repository('newcomer/mine').assertWhole('1')
    })

    test('podman pushes an image in docker form and pulls it again', async () => {
      const image = await load(ann, 'ann/docker-form:1')
      await ann.run('podman', 'push', '--format', 'v2s2', nameOf('ann/docker-form:1'))
      const answer = await server().as('ann').repository('ann/docker-form').send('GET', 'manifests/1')
      assert.notEqual(answer.headers['content-type'], OCI_MANIFEST)
      await ann.run('podman', 'rmi', '--all', '--force')
      await ann.run('podman', 'pull', nameOf('ann/docker-form:1'))
      assert.equal(await ann.runImage(nameOf('ann/docker-form:1')), image.message.trimEnd())
    })

    test('what podman prints when it is refused says what is wrong', async (t) => {
      await load(ann, 'ann/private:1')
      await ann.run('podman', 'push', nameOf('ann/private:1'))
      assert.match(await ann.fail('podman', 'pull', nameOf('ann/private:2')), /manifest unknown: .*no such manifest/)
      assert.match(
        await ann.fail('podman', 'pull', nameOf('ann/never:1')),
        /name unknown: .*no repository of this name/,
      )

      const bob = await ContainerTools.prepare(t, { insecure: server().host })
      const wrong = ['login', '--username', 'bob', '--password', 'not-the-password', server().host]
      assert.match(await bob.fail('podman', ...wrong), /invalid username\/password/)
      await bob.login('podman', server().host, 'bob')
      for (const path of ['ann/private:1', 'ann/never:1', 'nobody/never:1'])
        assert.match(await bob.fail('podman', 'pull', nameOf(path)), /denied: Access to the resource is denied/)
      await load(bob, 'ann/private:1')
      // It asks with HEAD, whose answers have no text.
      assert.match(await bob.fail('podman', 'push', nameOf('ann/private:1')), /403 \(Forbidden\)/)
    })
  })
})
