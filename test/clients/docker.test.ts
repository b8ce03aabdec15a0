import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { aBusyboxImage, type BusyboxImage, writeDockerArchive } from '../support/clients/busybox-image.ts'
import { ensureClients } from '../support/clients/container-tools.ts'
import { DockerEngine } from '../support/clients/docker-engine.ts'
import { describeLifetime, shareServerProcess } from '../support/clients/server-process.ts'
import { DOCKER_LIST, DOCKER_MANIFEST, digestOf } from '../support/images.ts'

describe('the Docker engine', () => {
  before(ensureClients)
  const server = shareServerProcess(['ann', 'bob'])
  const lifetime = describeLifetime()
  let docker: DockerEngine
  before(async () => {
    docker = await DockerEngine.start(lifetime, { insecure: server().host })
    await docker.login(server().host, 'ann')
  })

  const nameOf = (path: string) => `${server().host}/${path}`

  /** An image that no other test has, in the engine under a name of this registry. */
  const load = async (path: string): Promise<BusyboxImage> => {
    const image = await aBusyboxImage(`${path}\n`)
    const archive = join(docker.dir, 'image.tar')
    await writeDockerArchive(archive, nameOf(path), image)
    await docker.run('load', '--input', archive)
    return image
  }

  const imageId = (reference: string) => docker.run('image', 'inspect', '--format', '{{.Id}}', reference)

  /** Pushes and returns the digest that the client has been told. */
  const push = async (path: string): Promise<string> => {
    const output = await docker.run('push', nameOf(path))
    const digest = /digest: (sha256:[0-9a-f]{64}) size/.exec(output)?.[1]
    assert.ok(digest !== undefined, output)
    return digest
  }

  test('docker tags, pushes and pulls an image', async () => {
    const image = await load('ann/start:1')
    await docker.run('tag', nameOf('ann/start:1'), nameOf('ann/tagged:2'))
    const digest = await push('ann/tagged:2')
    assert.equal(await server().as('ann').repository('ann/tagged').resolve('2'), digest)
    await docker.run('image', 'rm', nameOf('ann/start:1'), nameOf('ann/tagged:2'))
    await docker.run('pull', nameOf('ann/tagged:2'))
    assert.equal(await imageId(nameOf('ann/tagged:2')), digestOf(image.config))
  })

  test('docker pulls an image by its digest', async () => {
    const image = await load('ann/digest:1')
    const digest = await push('ann/digest:1')
    await docker.run('image', 'rm', nameOf('ann/digest:1'))
    await docker.run('pull', nameOf(`ann/digest@${digest}`))
    assert.equal(await imageId(nameOf(`ann/digest@${digest}`)), digestOf(image.config))
  })

  test('docker logs in with a password, and a wrong one is told in words', async () => {
    const said = await docker.fail('login', '--username', 'ann', '--password', 'not-the-password', server().host)
    assert.match(said, /unauthorized: The user name or the password is wrong\./)
    // The login that was good stays.
    assert.match(await docker.fail('pull', nameOf('ann/missing:1')), /no repository of this name yet\. Push to it/)
  })

  test('layers that another repository has are mounted: nothing is uploaded twice', async () => {
    await load('ann/first:1')
    await push('ann/first:1')
    await docker.run('tag', nameOf('ann/first:1'), nameOf('ann/second:1'))
    await push('ann/second:1')
    const uploads = server()
      .log()
      .filter((line) => String(line['request.path']).startsWith('/v2/ann/second/blobs/uploads/'))
      .map((line) => `${line['request.method']} ${line['response.status']}`)
    // The configuration is not mounted: the engine sends it with every push.
    assert.deepEqual(uploads.toSorted(), ['PATCH 202', 'POST 201', 'POST 201', 'POST 202', 'PUT 201'])
    await server().as('ann').repository('ann/second').assertWhole('1')
  })

  test('a pushed image is a docker manifest, kept byte by byte as the engine wrote it', async () => {
    await load('ann/bytes:1')
    const digest = await push('ann/bytes:1')
    const answer = await server().as('ann').repository('ann/bytes').send('GET', 'manifests/1')
    assert.equal(answer.headers['content-type'], DOCKER_MANIFEST)
    assert.equal(digestOf(answer.body), digest)
  })

  test('a manifest list that docker creates and pushes is served to it again', async () => {
    await load('ann/multi:amd64')
    await push('ann/multi:amd64')
    await load('ann/multi:arm64')
    await push('ann/multi:arm64')
    const [list, parts] = [nameOf('ann/multi:all'), [nameOf('ann/multi:amd64'), nameOf('ann/multi:arm64')]]
    await docker.run('manifest', 'create', '--insecure', list, ...parts)
    await docker.run('manifest', 'annotate', list, nameOf('ann/multi:arm64'), '--arch', 'arm64', '--variant', 'v8')
    const digest = await docker.run('manifest', 'push', '--insecure', '--purge', list)
    const answer = await server().as('ann').repository('ann/multi').send('GET', 'manifests/all')
    assert.equal(answer.headers['content-type'], DOCKER_LIST)
    assert.equal(answer.headers['docker-content-digest'], digest)
    const seen = JSON.parse(await docker.run('manifest', 'inspect', '--insecure', list))
    const platforms = seen.manifests.map((entry: { platform: { architecture: string } }) => entry.platform.architecture)
    assert.deepEqual(platforms, ['amd64', 'arm64'])
    await docker.run('image', 'rm', nameOf('ann/multi:amd64'))
    await docker.run('pull', '--platform', 'linux/amd64', list)
    assert.equal(await docker.run('image', 'inspect', '--format', '{{.Architecture}}', list), 'amd64')
  })

  test("another user's repository cannot be pulled, and the refusal says so", async () => {
    await load('ann/private:1')
    await push('ann/private:1')
    await docker.login(server().host, 'bob')
    const sentence = /denied: Access to the resource is denied\. Check its name, and whether your account may do this\./
    assert.match(await docker.fail('pull', nameOf('ann/private:1')), sentence)
    assert.match(await docker.fail('push', nameOf('ann/private:1')), sentence)
    await docker.login(server().host, 'ann')
  })
})
