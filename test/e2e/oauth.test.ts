import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { openPage, startChromium } from '../support/chromium.ts'
import { queryText } from '../support/oauth.ts'
import { startRegistry } from '../support/registry.ts'
import { RestClient } from '../support/rest-client.ts'

let browser: Browser

before(async () => {
  browser = await startChromium()
})

after(() => browser?.close())

/** An application on an origin of its own, registered here, and what it sends people to. */
async function setUp(t: TestContext) {
  const registry = await startRegistry(t, {})
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html')
    response.end('<link rel="icon" href="data:,"><title>The application</title>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())))
  t.after(() => server.closeAllConnections())
  const callback = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cb`
  const owner = await registry.browser('owner')
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  const application = { name: '<b>CI</b> & co', redirect_uri: callback }
  const { client_id } = await owner.ok('POST', '/api/v1/organization/acme/applications', application)
  const address = (redirect_uri: string) =>
    `${registry.url}/oauth/authorize?${queryText({ client_id, redirect_uri, scope: 'repo:read', response_type: 'token', state: 'st' })}`
  return { registry, callback, address, local: `${registry.url}/oauth/localapp` }
}

async function signIn(page: Page): Promise<void> {
  await page.fill('#username', 'owner')
  await page.fill('#password', 'correct-horse-battery')
  await page.press('#password', 'Enter')
  await page.waitForSelector('button:has-text("Authorise")')
}

describe('the consent page in a browser', () => {
  test('one signs in, agrees and is taken to the application with a token, without anything that the policy forbids', async (t) => {
    const { registry, callback, address } = await setUp(t)
    const { page, complaints } = await openPage(browser)
    await page.goto(address(callback))
    await signIn(page)
    assert.match(await page.innerText('h1'), /Authorise <b>CI<\/b> & co\?/)
    await page.click('button:has-text("Authorise")')
    await page.waitForURL(`${callback}?**`)
    const url = new URL(page.url())
    assert.equal(url.searchParams.get('state'), 'st')
    const token = new URLSearchParams(url.hash.slice(1)).get('access_token')
    assert.equal((await new RestClient(registry.url, `Bearer ${token}`).get('/api/v1/find/all?query=x')).status, 200)
    // Granted already: the second time nobody is asked.
    await page.goto(address(callback))
    assert.equal(new URL(page.url()).origin, new URL(callback).origin)
    assert.deepEqual(complaints, [])
  })

  test('cancelling leads to the application as well, with an error and nothing else', async (t) => {
    const { callback, address } = await setUp(t)
    const { page, complaints } = await openPage(browser)
    await page.goto(address(callback))
    await signIn(page)
    await page.click('button:has-text("Cancel")')
    await page.waitForURL(`${callback}?**`)
    assert.equal(page.url(), `${callback}?error=authorization_denied&state=st`)
    assert.deepEqual(complaints, [])
  })

  test('a token for a person is shown once and then stands in no address', async (t) => {
    const { registry, address, local } = await setUp(t)
    const { page, complaints } = await openPage(browser)
    await page.goto(address(local))
    await signIn(page)
    await page.click('button:has-text("Authorise")')
    await page.waitForSelector('#token:not(:empty)')
    const token = await page.innerText('#token')
    assert.match(token, /^[A-Za-z0-9]{40}$/)
    assert.equal(new URL(page.url()).hash, '')
    const bearer = new RestClient(registry.url, `Bearer ${token}`)
    assert.equal((await bearer.get('/api/v1/repository?namespace=owner')).status, 200)
    assert.deepEqual(complaints, [])
  })

  // Control: the policy is what lets the browser through, and for this one origin.
  test('with a policy that does not name the application the browser goes nowhere', async (t) => {
    const { callback, address } = await setUp(t)
    const { page, complaints } = await openPage(browser)
    await page.goto(address(callback))
    await signIn(page)
    await page.route('**/oauth/authorize?*', async (route) => {
      const response = await route.fetch()
      const headers = response.headers()
      const policy = (headers['content-security-policy'] ?? '').replace(` ${new URL(callback).origin}`, '')
      await route.fulfill({ response, headers: { ...headers, 'content-security-policy': policy } })
    })
    await page.reload()
    const blocked = page.waitForEvent('console', (message) => /form-action/.test(message.text()))
    await page.click('button:has-text("Cancel")', { noWaitAfter: true })
    await blocked
    assert.match(complaints.join(), /form-action/)
    assert.notEqual(new URL(page.url()).origin, new URL(callback).origin)
  })
})
