import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { generateApi } from 'swagger-typescript-api'
import { aBusyboxImage, writeDockerArchive } from '../support/clients/busybox-image.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import { startRegistry } from '../support/registry.ts'

/** A client as a generator makes it: operations by tag, each a function of parameters and body. */
// biome-ignore lint/suspicious/noExplicitAny: what a generator makes has no type here
type GeneratedApi = any

/** Makes a client of a document, as somebody who scripts against the API would. */
async function generate(t: TestContext, spec: object): Promise<new (options: object) => GeneratedApi> {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-client-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  await writeFile(join(dir, 'spec.json'), JSON.stringify(spec))
  const { files } = await generateApi({
    input: join(dir, 'spec.json'),
    output: false,
    toJS: true,
    silent: true,
    generateClient: true,
  })
  const [file] = files.filter(({ fileExtension }) => fileExtension === '.js')
  assert.ok(file !== undefined, 'The generator made no client')
  await writeFile(join(dir, 'client.mjs'), file.fileContent)
  const module: GeneratedApi = await import(join(dir, 'client.mjs'))
  return module.Api
}

describe('clients that are generated from the documents', () => {
  before(ensureClients)

  const sources = {
    'OpenAPI 3.1': async () => JSON.parse(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8')),
    'Swagger 2.0': async (base: string) => (await fetch(`${base}/api/v1/discovery?internal=true`)).json(),
  }

  for (const [name, load] of Object.entries(sources))
    test(`a client from ${name} sets up an organization, and podman works with what it made`, async (t) => {
      const registry = await startRegistry(t)
      await registry.addUser('ada')
      const Api = await generate(t, await load(registry.url))
      const scopes = 'org:admin user:admin repo:admin repo:create'
      const as = async (user: string) =>
        new Api({
          baseUrl: registry.url,
          baseApiParams: {
            format: 'json',
            headers: { Authorization: `Bearer ${await registry.oauthToken(user, scopes)}` },
          },
        })
      const owner = await as('owner')
      assert.equal((await owner.api.createOrganization({ name: 'acme' })).data, 'Created')
      const repository = { namespace: 'acme', repository: 'api', visibility: 'private', description: '' }
      assert.equal((await owner.api.createRepo(repository)).status, 201)
      const robot = (await owner.api.createOrgRobot('acme', 'ci', { description: 'CI' })).data
      await owner.api.changeUserPermissions('acme/api', 'acme+ci', { role: 'write' })
      await owner.api.updateOrganizationTeam('acme', 'devs', { role: 'member' })
      await owner.api.changeTeamPermissions('acme/api', 'devs', { role: 'read' })
      const invited = (await owner.api.updateOrganizationTeamMember('acme', 'devs', 'ada')).data
      const code = new URL(invited.invite_url).searchParams.get('code')
      await (await as('ada')).api.acceptOrganizationTeamInvite(code)
      const members = (await owner.api.getOrganizationTeamMembers('acme', 'devs')).data.members
      assert.deepEqual(
        members.map((member: { name: string }) => member.name),
        ['ada'],
      )

      const podman = await ContainerTools.prepare(t, { insecure: registry.host })
      const login = async (user: string, password: string) =>
        writeFile(
          join(podman.dir, 'auth.json'),
          JSON.stringify({
            auths: { [registry.host]: { auth: Buffer.from(`${user}:${password}`).toString('base64') } },
          }),
        )
      const image = `${registry.host}/acme/api:1`
      const archive = join(podman.dir, 'image.tar')
      await writeDockerArchive(archive, image, await aBusyboxImage(`${name}\n`))
      await podman.run('podman', 'load', '--quiet', '--input', archive)
      await login(robot.name, robot.token)
      await podman.run('podman', 'push', image)
      await login('ada', 'correct-horse-battery')
      await podman.run('podman', 'pull', image)
      await podman.fail('podman', 'push', image)
      const seen = (await owner.api.getRepo('acme/api')).data
      assert.deepEqual(Object.keys(seen.tags), ['1'])

      const refused = await owner.api
        .getRepo('acme/nothing')
        .catch((error: { status: number; error: { title: string } }) => error)
      assert.deepEqual([refused.status, refused.error.title], [404, 'not_found'])
      assert.equal((await owner.api.deleteOrgRobot('acme', 'ci')).status, 204)
      assert.equal((await registry.as(robot.name, robot.token).send('GET', '/v2/')).status, 401)
    })
})
