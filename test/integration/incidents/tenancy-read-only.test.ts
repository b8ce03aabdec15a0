import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, digestOf } from '../../support/images.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { makeTenant, rowsOf, type Tenant, tenantConfig } from '../../support/tenants.ts'

/** The path of a route with what a tenant has. */
const fill = (path: string, operationId: string, { ids }: Tenant) =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const id = ids[`${name} of ${operationId}`] ?? ids[name] ?? 'none'
    return name === 'repository' ? id : encodeURIComponent(id)
  })

/** Every way to take something away, or to put something else in its place. */
function waysToLose(path: string, digest: string, blob: string): [string, string][] {
  return [
    ['DELETE', `/v2/${path}/manifests/v1`],
    ['DELETE', `/v2/${path}/manifests/${digest}`],
    ['DELETE', `/v2/${path}/blobs/${blob}`],
    ['PUT', `/v2/${path}/manifests/v1`],
    ['PUT', `/v2/${path}/manifests/v2`],
    ['PUT', `/v2/${path}/manifests/${digest}`],
    ['PUT', `/v2/${path}/manifests/${digest}?tag=v2`],
    ['POST', `/v2/${path}/blobs/uploads/`],
    ['POST', `/v2/${path}/blobs/uploads/?mount=${blob}&from=${path}`],
    ['POST', `/v2/${path}/blobs/uploads/?digest=${blob}`],
  ]
}

describe('what takes no changes', () => {
  forEachDatabase((database) => {
    async function prepare(registry: TestRegistry) {
      const image = anImage()
      await registry.as('owner').repository('owner/kept').push(image, 'v1')
      const [blob = ''] = image.blobs.map((bytes) => digestOf(bytes))
      const headers = { 'content-type': image.mediaType }
      const lost: string[] = []
      const attempt = async () => {
        for (const [method, path] of waysToLose('owner/kept', image.digest, blob)) {
          const body = method === 'PUT' ? image.manifest : ''
          const answer = await registry.as('owner').send(method, path, { headers, body })
          if (answer.status < 400) lost.push(`${method} ${path}: ${answer.status}`)
        }
        return lost.splice(0)
      }
      const whole = () => registry.as('owner').repository('owner/kept').assertWhole('v1')
      return { attempt, whole }
    }

    // Reliability case 22.
    test('a repository that is read-only loses nothing by tag, by digest or by blob, also for its owner and with tokens from before', async (t) => {
      const registry = await startRegistry(t, { database })
      const { attempt, whole } = await prepare(registry)
      const owner = await registry.browser('owner')
      const jwt = await registry.as('owner').token('repository:owner/kept:pull,push,delete,*')
      await owner.ok('PUT', '/api/v1/repository/owner/kept/changestate', { state: 'READ_ONLY' })
      assert.deepEqual(await attempt(), [])
      for (const rest of ['manifests/v1', 'blobs/uploads/'])
        for (const method of ['DELETE', 'POST'])
          assert.ok(
            (await registry.anonymous.bearing(jwt).repository('owner/kept').send(method, rest)).status >= 400,
            `${method} ${rest}`,
          )
      await whole()
      await owner.ok('PUT', '/api/v1/repository/owner/kept/changestate', { state: 'NORMAL' })
      assert.ok((await attempt()).length >= 5, 'control: in its normal state these are the ways')
    })

    // Reliability case 22.
    test('a registry that is read-only loses nothing by any call of the API or of clients', async (t) => {
      const registry = await startRegistry(t, {
        database,
        config: { accounts: { ...tenantConfig.accounts, superUsers: ['ada'] } },
      })
      const { attempt, whole } = await prepare(registry)
      const tenant = await makeTenant(registry, 'ada')
      await registry.restart({ server: { readOnly: true } })
      const browser = await registry.browser('ada')
      const rows = database.name === 'sqlite' ? rowsOf(registry, tenant) : []
      const found: string[] = []
      // Those that work are signing in and out, which changes nothing that anybody keeps.
      const works = restRoutes.filter(({ method, worksReadOnly }) => method !== 'GET' && worksReadOnly)
      assert.deepEqual(
        works
          .map(({ operationId }) => operationId)
          .filter((name) => !/sign|log(?:in|out)|verify|confirm|recover|External/i.test(name)),
        [],
      )
      for (const { method, path, operationId, worksReadOnly, form, isOn } of restRoutes) {
        if (method === 'GET' || worksReadOnly || isOn?.(registry.server.services.config) === false) continue
        const type = form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}
        const { status } = await browser.send(method, fill(path, operationId, tenant), { body: '', headers: type })
        if (status !== 503) found.push(`${operationId}: ${status}`)
      }
      assert.deepEqual(found, [])
      assert.deepEqual(await attempt(), [])
      if (database.name === 'sqlite') {
        const kept = (lines: string[]) => lines.filter((line) => !/^(?:session|audit_entry|account) /.test(line))
        assert.deepEqual(kept(rowsOf(registry, tenant)), kept(rows))
      }
      await registry.restart({ server: { readOnly: false } })
      await whole()
      assert.ok((await attempt()).length >= 5, 'control: otherwise these are the ways')
    })
  })
})
