import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { findAccount } from '../../src/accounts/accounts.ts'
import { basic } from '../support/client.ts'
import { startEmptyRegistry } from '../support/empty-registry.ts'
import { root } from '../support/stages.ts'
import { ensurePackages } from '../support/system.ts'

const results = join(root, 'test-results')
const password = 'a-long-enough-one'

const flags = [
  ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-default-apps', '--disable-sync', '--no-first-run'],
]

let browser: Browser

before(async () => {
  await ensurePackages(['chromium'])
  mkdirSync(results, { recursive: true })
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
})

after(() => browser?.close())

/** A page of its own context, and everything that the browser has complained about in it. */
async function open(options: { colorScheme?: 'light' | 'dark'; width?: number } = {}) {
  const { colorScheme = 'light', width = 1000 } = options
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    // A page with a status above 399 is a complaint too, and some of ours have one on purpose.
    if (message.type() === 'error' && !/the server responded with a status of/.test(message.text()))
      complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`))
  return { page, complaints }
}

function shot(page: Page, name: string): Promise<unknown> {
  return page.screenshot({ path: join(results, `${name}.png`), fullPage: true })
}

const focused = (page: Page) => page.evaluate('document.activeElement.id || document.activeElement.tagName')

describe('the setup form', () => {
  test('can be filled in with the keyboard alone, and what it creates can sign in to the registry', async (t) => {
    const registry = await startEmptyRegistry(t)
    const { page, complaints } = await open()
    await page.goto(registry.setupLink)
    assert.equal(await page.inputValue('#name'), 'quay')
    const order: unknown[] = []
    for (let presses = 0; presses < 6; presses++) {
      await page.keyboard.press('Tab')
      order.push(await focused(page))
    }
    assert.deepEqual(order, ['A', 'name', 'email', 'password', 'repeat', 'BUTTON'])

    await page.focus('#name')
    for (const text of ['captain', 'captain@example.com', password, password]) {
      await page.keyboard.press('Control+A')
      await page.keyboard.type(text)
      await page.keyboard.press('Tab')
    }
    await page.keyboard.press('Enter')
    await page.waitForSelector('h1:has-text("is ready")')
    assert.match(await page.innerText('main'), new RegExp(`docker login ${registry.host} -u captain`))
    assert.deepEqual(complaints, [])

    const account = await registry.services.db.read(findAccount, { name: 'captain' })
    assert.equal(account?.email, 'captain@example.com')
    const answer = await registry.client.send('GET', '/v2/', { headers: { authorization: basic('captain', password) } })
    assert.equal(answer.status, 200)
    await shot(page, 'setup-done')
  })

  test('says beside each field what is wrong, puts the cursor there, and keeps all but the passwords', async (t) => {
    const registry = await startEmptyRegistry(t)
    const { page, complaints } = await open()
    await page.goto(registry.setupLink)
    await page.fill('#name', 'Captain')
    await page.fill('#email', 'captain@example.com')
    await page.fill('#password', 'short')
    await page.fill('#repeat', 'short')
    await page.press('#repeat', 'Enter')
    await page.waitForSelector('[role=alert]')
    assert.equal(await focused(page), 'name')
    const fields = { name: 'Captain', email: 'captain@example.com', password: '', repeat: '' }
    for (const [field, value] of Object.entries(fields)) assert.equal(await page.inputValue(`#${field}`), value)
    for (const field of ['name', 'password']) {
      assert.equal(await page.getAttribute(`#${field}`, 'aria-invalid'), 'true')
      const ids = (await page.getAttribute(`#${field}`, 'aria-describedby')) ?? ''
      assert.ok(ids.split(' ').includes(`${field}-error`), `${field} is described by ${ids}`)
      assert.notEqual(await page.innerText(`#${field}-error`), '')
    }
    await shot(page, 'setup-errors')

    await page.fill('#name', 'captain')
    await page.fill('#password', password)
    await page.fill('#repeat', password)
    await page.press('#repeat', 'Enter')
    await page.waitForSelector('h1:has-text("The account captain is ready")')
    assert.deepEqual(complaints, [])
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`is readable in the ${colorScheme} theme and on a narrow screen`, async (t) => {
      const registry = await startEmptyRegistry(t, { config: { accounts: { superUsers: ['harbourmaster', 'pilot'] } } })
      for (const width of [1000, 400, 320]) {
        const { page, complaints } = await open({ colorScheme, width })
        for (const [name, path] of Object.entries({
          home: registry.url,
          setup: registry.setupLink,
          link: `${registry.url}/setup`,
        })) {
          await page.goto(path)
          const { tooWide, contrasts } = (await page.evaluate(inspectPage)) as Inspection
          assert.deepEqual(tooWide, [], `${name} at ${width} px has to be scrolled sideways`)
          assert.ok(contrasts.length > 5, 'the contrast of no text was measured')
          assert.deepEqual(
            contrasts.filter(({ ratio }) => ratio < 4.5),
            [],
          )
          await shot(page, `${name}-${colorScheme}-${width}`)
        }
        assert.deepEqual(complaints, [])
      }
    })
  }

  test('works in both themes: they differ, and follow what the person has chosen', async (t) => {
    const registry = await startEmptyRegistry(t)
    const grounds = []
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await open({ colorScheme })
      await page.goto(registry.url)
      grounds.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
    }
    assert.deepEqual(grounds, ['rgb(243, 245, 248)', 'rgb(16, 21, 28)'])
  })
})

interface Inspection {
  readonly tooWide: readonly string[]
  readonly contrasts: readonly { readonly text: string; readonly ratio: number }[]
}

/** Runs in the page: what sticks out of it, and the contrast of every piece of text against what is behind it (WCAG 2.2, 1.4.3). */
const inspectPage = `(() => {
  const rgb = (color) => color.match(/[\\d.]+/g).map(Number)
  const luminance = (color) => {
    const [r, g, b] = rgb(color).slice(0, 3).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor
      if (rgb(color)[3] !== 0) return color
    }
    return 'rgb(255, 255, 255)'
  }
  const width = document.documentElement.clientWidth
  const all = [...document.body.querySelectorAll('*')]
  const tooWide = all.filter((one) => one.getBoundingClientRect().right > width + 1).map((one) => one.tagName)
  const withText = all.filter((one) => one.tagName === 'INPUT' || [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
  const contrasts = withText.filter((one) => one.getClientRects().length > 0).map((one) => {
    const [a, b] = [luminance(getComputedStyle(one).color), luminance(groundOf(one))]
    return { text: (one.textContent || one.tagName).trim().slice(0, 40), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) }
  })
  return { tooWide, contrasts }
})()`
