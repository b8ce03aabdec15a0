import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { openPage, startChromium } from '../support/chromium.ts'
import { startRegistry } from '../support/registry.ts'

let browser: Browser

before(async () => {
  browser = await startChromium()
})

after(() => browser?.close())

/** Opens one call, fills it in, sends it, and returns the status that the explorer shows. */
async function tryOut(page: Page, call: { tag: string; id: string; fields?: Record<string, string>; body?: object }) {
  const block = page.locator(`#operations-${call.tag}-${call.id}`)
  if (!(await block.isVisible())) await page.click(`#operations-tag-${call.tag}`)
  await block.locator('.opblock-summary-control').click()
  await block.locator('.try-out__btn').click()
  for (const [name, value] of Object.entries(call.fields ?? {}))
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value)
  if (call.body !== undefined) await block.locator('textarea.body-param__text').fill(JSON.stringify(call.body))
  await block.locator('.execute').click()
  return (await block.locator('.live-responses-table .response-col_status').last().innerText()).trim()
}

describe('the API explorer', () => {
  test('all four methods are tried out in a browser, and a client sees what they did', async (t) => {
    const registry = await startRegistry(t)
    const { page, complaints } = await openPage(browser)
    const hosts = new Set<string>()
    page.on('request', (request) => hosts.add(new URL(request.url()).host))
    await page.goto(`${registry.url}/login`)
    await page.fill('#username', 'owner')
    await page.fill('#password', 'correct-horse-battery')
    await page.press('#password', 'Enter')
    await page.waitForURL(`${registry.url}/`)
    await page.goto(`${registry.url}/api/explorer`)
    await page.waitForSelector('#operations-tag-organization')

    const body = { name: 'acme' }
    assert.match(await tryOut(page, { tag: 'organization', id: 'createOrganization', body }), /^201/)
    const fields = { orgname: 'acme' }
    assert.match(await tryOut(page, { tag: 'organization', id: 'getOrganization', fields }), /^200/)
    const team = { orgname: 'acme', teamname: 'devs' }
    const role = { role: 'creator' }
    assert.match(await tryOut(page, { tag: 'team', id: 'updateOrganizationTeam', fields: team, body: role }), /^200/)
    const owner = await registry.browser('owner')
    assert.equal((await owner.ok('GET', '/api/v1/organization/acme')).teams.devs.role, 'creator')
    assert.match(await tryOut(page, { tag: 'team', id: 'deleteOrganizationTeam', fields: team }), /^204/)
    assert.equal('devs' in (await owner.ok('GET', '/api/v1/organization/acme')).teams, false)

    assert.deepEqual(
      [...hosts].filter((host) => host !== registry.host && host !== ''),
      [],
    )
    assert.deepEqual(complaints, [])
  })
})
