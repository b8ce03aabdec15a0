import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { aBusyboxImage, writeDockerArchive } from '../support/clients/busybox-image.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import { DockerEngine } from '../support/clients/docker-engine.ts'
import { succeed } from '../support/clients/program.ts'
import { describeLifetime, PASSWORD, shareServerProcess } from '../support/clients/server-process.ts'
import { RestClient } from '../support/rest-client.ts'

describe('the credentials of a robot, as clients take them', () => {
  before(ensureClients)
  const server = shareServerProcess(['ann', 'bob'])
  const lifetime = describeLifetime()
  let tools: ContainerTools
  let ann: RestClient
  before(async () => {
    tools = await ContainerTools.prepare(lifetime, { insecure: server().host })
    ann = await RestClient.signIn(server().url, 'ann', PASSWORD)
    await ann.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
    await ann.ok('PUT', '/api/v1/organization/acme/robots/deployer', { description: 'CD' }, 201)
    const repository = { namespace: 'acme', repository: 'api', visibility: 'private', description: '' }
    await ann.ok('POST', '/api/v1/repository', repository, 201)
    await ann.ok('PUT', '/api/v1/repository/acme/api/permissions/user/acme+deployer', { role: 'write' })
  })

  const credentials = (form: string) => ann.get(`/api/v1/organization/acme/robots/deployer/credentials/${form}`)
  const nameOf = (path: string) => `${server().host}/${path}`
  const inspect = (authFile: string) =>
    tools.run('skopeo', 'inspect', '--tls-verify=false', '--authfile', authFile, `docker://${nameOf('acme/api:1')}`)

  const load = async (path: string) => {
    const archive = join(tools.dir, 'image.tar')
    await writeDockerArchive(archive, nameOf(path), await aBusyboxImage(`${path}\n`))
    return archive
  }

  // Claim 209; what podman is given is the same file.
  test('podman pushes and pulls with the docker configuration', async () => {
    const file = await credentials('docker-config')
    assert.match(String(file.headers['content-disposition']), /^attachment; filename="acme-deployer-auth\.json"$/)
    const authFile = join(tools.dir, 'robot-auth.json')
    await writeFile(authFile, file.body)
    await tools.run('podman', 'load', '--quiet', '--input', await load('acme/api:1'))
    await tools.run('podman', 'push', '--authfile', authFile, nameOf('acme/api:1'))
    await tools.run('podman', 'rmi', '--all', '--force')
    await tools.run('podman', 'pull', '--authfile', authFile, nameOf('acme/api:1'))
    const seen = await ann.ok('GET', '/api/v1/repository/acme/api')
    assert.deepEqual(Object.keys(seen.tags), ['1'])
    await tools.fail('podman', 'pull', '--authfile', join(tools.dir, 'auth.json'), nameOf('acme/api:1'))
  })

  // Claim 206.
  test('the Kubernetes secret is one, and what it holds opens the registry', async () => {
    const file = await credentials('kubernetes')
    const secret: unknown = parse(file.text())
    assert.ok(typeof secret === 'object' && secret !== null && 'data' in secret && 'metadata' in secret)
    const { data, metadata, ...rest } = secret
    assert.deepEqual(rest, { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/dockerconfigjson' })
    assert.deepEqual(metadata, { name: 'acme-deployer-pull-secret' })
    const config = Object.entries(data as Record<string, string>)
    assert.equal(config[0]?.[0], '.dockerconfigjson')
    const authFile = join(tools.dir, 'kubernetes-auth.json')
    await writeFile(authFile, Buffer.from(config[0]?.[1] ?? '', 'base64'))
    await inspect(authFile)
  })

  // Claim 210.
  test('the archive for Mesos unpacks to a docker configuration that opens the registry', async () => {
    const archive = join(tools.dir, 'mesos.tar.gz')
    await writeFile(archive, (await credentials('mesos')).body)
    assert.equal(await succeed('tar', ['-tzf', archive]), '.docker/config.json')
    const into = join(tools.dir, 'mesos')
    await mkdir(into)
    await succeed('tar', ['-xzf', archive, '-C', into])
    await inspect(join(into, '.docker', 'config.json'))
  })

  // Claims 205 and 207.
  test('name and token, and the file of rkt, say the same', async () => {
    const token = (await credentials('token')).json()
    const rkt = (await credentials('rkt')).json()
    assert.deepEqual(rkt, {
      rktKind: 'dockerAuth',
      rktVersion: 'v1',
      registries: [server().host],
      credentials: { user: token.username, password: token.password },
    })
    assert.equal((await credentials('nonsense')).status, 404)
    const podman = (await credentials('podman-login')).text()
    await succeed('sh', [
      '-c',
      podman.replace('login ', `login --tls-verify=false --authfile ${join(tools.dir, 'line.json')} `),
    ])
    await inspect(join(tools.dir, 'line.json'))
  })

  // Claim 208.
  test('the line of docker login works as it is, until the token is made anew', async (t) => {
    const docker = await DockerEngine.start(t, { insecure: server().host })
    const line = (await credentials('docker-login')).text().trim()
    const words = line.split(' ').map((word) => word.replace(/='(.*)'$/, '=$1'))
    assert.equal(words[0], 'docker')
    await docker.run(...words.slice(1))
    await docker.run('pull', nameOf('acme/api:1'))
    await docker.run('tag', nameOf('acme/api:1'), nameOf('acme/api:2'))
    await docker.run('push', nameOf('acme/api:2'))
    await ann.ok('POST', '/api/v1/organization/acme/robots/deployer/regenerate')
    await assert.rejects(docker.run('pull', nameOf('acme/api:2')))
  })

  test('teams, collaborators and visibility that the API sets decide what podman and docker may do', async (t) => {
    const bob = await ContainerTools.prepare(lifetime, { insecure: server().host })
    await bob.login('podman', server().host, 'bob')
    const docker = await DockerEngine.start(t, { insecure: server().host })
    await docker.login(server().host, 'bob')
    const pull = async () => {
      await bob.run('podman', 'pull', nameOf('acme/api:1'))
      await docker.run('pull', nameOf('acme/api:1'))
    }
    const pullNothing = async () => {
      await bob.fail('podman', 'pull', nameOf('acme/api:1'))
      await docker.fail('pull', nameOf('acme/api:1'))
    }
    await pullNothing()
    const permission = '/api/v1/repository/acme/api/permissions/user/bob'
    await ann.ok('PUT', permission, { role: 'read' })
    await pull()
    await bob.run('podman', 'tag', nameOf('acme/api:1'), nameOf('acme/api:bob'))
    await docker.run('tag', nameOf('acme/api:1'), nameOf('acme/api:docker'))
    await bob.fail('podman', 'push', nameOf('acme/api:bob'))
    await docker.fail('push', nameOf('acme/api:docker'))
    await ann.ok('DELETE', permission, undefined, 204)
    await pullNothing()
    await ann.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
    const invite = await ann.ok('PUT', '/api/v1/organization/acme/team/devs/members/bob')
    const code = new URL(invite.invite_url).searchParams.get('code')
    await (await RestClient.signIn(server().url, 'bob', PASSWORD)).ok('PUT', `/api/v1/teaminvite/${code}`)
    await ann.ok('PUT', '/api/v1/repository/acme/api/permissions/team/devs', { role: 'write' })
    await bob.run('podman', 'push', nameOf('acme/api:bob'))
    await docker.run('push', nameOf('acme/api:docker'))
    await ann.ok('DELETE', '/api/v1/organization/acme/team/devs/members/bob', undefined, 204)
    await pullNothing()
    await ann.ok('POST', '/api/v1/repository/acme/api/changevisibility', { visibility: 'public' })
    await pull()
    assert.ok((await readFile(join(bob.dir, 'auth.json'), 'utf8')).includes(server().host))
  })
})
