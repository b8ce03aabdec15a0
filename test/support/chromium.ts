import { type Browser, chromium, type Page } from 'playwright-core'
import { ensurePackages } from './system.ts'

const flags = [
  ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-default-apps', '--disable-sync', '--no-first-run'],
]

/** Debian's Chromium. Whoever starts it closes it. */
export async function startChromium(): Promise<Browser> {
  await ensurePackages(['chromium'])
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
}

/** A page of its own context, and everything that the browser has complained about in it. */
export async function openPage(browser: Browser): Promise<{ page: Page; complaints: string[] }> {
  const page = await (await browser.newContext()).newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  return { page, complaints }
}
