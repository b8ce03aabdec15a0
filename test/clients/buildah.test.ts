import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { writeBuildContext } from '../support/clients/busybox-image.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import { describeLifetime, shareServerProcess } from '../support/clients/server-process.ts'
import { OCI_INDEX } from '../support/images.ts'

describe('buildah', () => {
  before(ensureClients)
  const server = shareServerProcess(['ann'])
  const lifetime = describeLifetime()
  let tools: ContainerTools
  before(async () => {
    tools = await ContainerTools.prepare(lifetime, { insecure: server().host })
    await tools.login('buildah', server().host, 'ann')
  })

  const nameOf = (path: string) => `${server().host}/${path}`
  const build = (folder: string, ...options: string[]) =>
    tools.run('buildah', 'bud', '--isolation=chroot', ...options, folder)

  test('an image that buildah builds from a Dockerfile is pushed, and runs after a pull', async () => {
    const folder = join(tools.dir, 'plain')
    await writeBuildContext(folder, 'built by buildah')
    await build(folder, '--tag', nameOf('ann/built:1'))
    await tools.run('buildah', 'push', nameOf('ann/built:1'))
    await server().as('ann').repository('ann/built').assertWhole('1')
    await tools.run('buildah', 'rmi', '--all', '--force')
    await tools.run('buildah', 'pull', nameOf('ann/built:1'))
    assert.equal(await tools.runImage(nameOf('ann/built:1')), 'built by buildah')
  })

  test('a Dockerfile builds upon an image that only the registry has', async () => {
    const folder = join(tools.dir, 'base')
    await writeBuildContext(folder, 'base')
    await build(folder, '--tag', nameOf('ann/base:1'))
    await tools.run('buildah', 'push', nameOf('ann/base:1'))
    await tools.run('buildah', 'rmi', '--all', '--force')

    const upper = join(folder, 'Dockerfile')
    await writeFile(upper, `FROM ${nameOf('ann/base:1')}\nRUN echo upon it >> /message\n`)
    await build(folder, '--tag', nameOf('ann/upper:1'))
    await tools.run('buildah', 'push', nameOf('ann/upper:1'))
    const repository = server().as('ann').repository('ann/upper')
    const { layers } = (await repository.send('GET', 'manifests/1')).json()
    const base = (await server().as('ann').repository('ann/base').send('GET', 'manifests/1')).json()
    assert.equal(layers.length, 2)
    assert.equal(layers[0].digest, base.layers[0].digest)
    assert.equal(await tools.runImage(nameOf('ann/upper:1')), 'base\nupon it')
  })

  test('a list of images that buildah pushes whole comes as an index with all of them', async () => {
    const folder = join(tools.dir, 'list')
    await writeBuildContext(folder, 'one of two')
    await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY busybox /bin/busybox\n')
    for (const architecture of ['amd64', 'arm64']) await build(folder, '--arch', architecture, '--manifest', 'both')
    await tools.run('buildah', 'manifest', 'push', '--all', 'both', `docker://${nameOf('ann/both:1')}`)
    const repository = server().as('ann').repository('ann/both')
    const answer = await repository.send('GET', 'manifests/1')
    assert.equal(answer.headers['content-type'], OCI_INDEX)
    assert.equal(answer.json().manifests.length, 2)
    await repository.assertWhole('1')
  })
})
