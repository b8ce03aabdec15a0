import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { before, test } from 'node:test'
import { aBusyboxImage, writeLayout } from '../support/clients/busybox-image.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import { succeed } from '../support/clients/program.ts'
import { PASSWORD } from '../support/clients/server-process.ts'
import { root } from '../support/stages.ts'

before(ensureClients)

test('a newcomer runs npm start, makes the first account by the link that it prints, pushes and pulls', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-newcomer-'))
  const running = new Set<ChildProcess>()
  t.after(async () => {
    for (const child of running) await end(child)
    await rm(dir, { recursive: true, force: true })
  })
  await copySource(join(dir, 'longshore'))
  const npmStart = () => {
    // 0 takes any free port, and an empty address keeps metrics off: 9091 may be taken by somebody's real server.
    const options = ['--listen', '127.0.0.1:0', '--metrics', '', '--data', join(dir, 'data')]
    const cwd = join(dir, 'longshore')
    const child = spawn('npm', ['start', '--', ...options], { cwd, env: newcomerEnvironment(), stdio: 'pipe' })
    running.add(child)
    return watch(child)
  }

  const first = npmStart()
  const { url, printed } = await first.serving
  const link = /http:\S+\/setup\?token=\S+/.exec(printed)?.[0] ?? ''
  await createFirstAccount(link, 'pioneer')
  const { host } = new URL(url)
  assert.ok(printed.includes(`docker login ${host}`), printed)
  const tools = await ContainerTools.prepare(t, { insecure: host })
  await tools.login('skopeo', host, 'pioneer')
  const image = await aBusyboxImage('hello\n')
  await writeLayout(join(tools.dir, 'layout'), 'image', [image])
  await tools.run('skopeo', 'copy', `oci:${join(tools.dir, 'layout')}:image`, `docker://${host}/pioneer/hello:1`)
  assert.equal(await tools.run('skopeo', 'inspect', '--raw', `docker://${host}/pioneer/hello:1`), image.manifest)
  assert.equal(await end(first.child), 0)
  await assert.rejects(fetch(`${url}/livez`), 'npm has ended and the server has not')

  const second = npmStart()
  const again = await second.serving
  assert.equal((await fetch(`${again.url}/livez`)).status, 200)
  const seconds = ageSeconds(again.pid)
  t.diagnostic(`the second start answered ${seconds.toFixed(2)} s after its process had begun`)
  // The promise is one second on a quiet machine.
  assert.ok(seconds < 3, `The second start took ${seconds} s`)
  assert.doesNotMatch(again.printed, /setup\?token=/)
  const source = `docker://${new URL(again.url).host}/pioneer/hello:1`
  const visible = ['--tls-verify=false', '--creds', `pioneer:${PASSWORD}`]
  assert.equal(await tools.run('skopeo', 'inspect', '--raw', ...visible, source), image.manifest)
  assert.equal(await end(second.child), 0)
})

/** What a clone of the working tree as it is would hold. */
async function copySource(target: string): Promise<void> {
  const listed = await succeed('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  for (const path of new Set(listed.split('\0'))) {
    // A file that is deleted but not yet committed is still listed.
    if (path === '' || !existsSync(join(root, path))) continue
    await mkdir(dirname(join(target, path)), { recursive: true })
    await copyFile(join(root, path), join(target, path))
  }
}

/** That of a plain shell: without our pinned Node in front, without what npm and the tests have put into ours. */
function newcomerEnvironment(): NodeJS.ProcessEnv {
  const isOurs = (name: string) => /^(LONGSHORE_|NODE_|npm_(lifecycle|package|node)|INIT_CWD)/.test(name)
  const kept = Object.entries(process.env).filter(([name]) => !isOurs(name))
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.endsWith('node_modules/.bin'))
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter) }
}

interface Serving {
  readonly url: string
  readonly pid: number
  readonly printed: string
}

/** Resolves `serving` when the last line that a person needs has been printed; fails when npm ends before that. */
function watch(child: ChildProcess): { readonly child: ChildProcess; readonly serving: Promise<Serving> } {
  const serving = new Promise<Serving>((resolve, reject) => {
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        printed += text
        const url = /serves at (http:\S+) and keeps/.exec(printed)?.[1]
        const pid = /"process\.pid":(\d+)/.exec(printed)?.[1]
        if (url && pid && printed.includes('docker login')) resolve({ url, pid: Number(pid), printed })
      })
    }
    child.once('error', reject)
    child.once('close', (code, signal) => reject(new Error(`npm start ended with ${signal ?? code}:\n${printed}`)))
  })
  return { child, serving }
}

/** Fills in the form, with the fields that the page has. */
async function createFirstAccount(link: string, name: string): Promise<void> {
  const page = await (await fetch(link)).text()
  const action = /<form[^>]* action="([^"]*)"/.exec(page)?.[1]
  const fields = [...page.matchAll(/<input[^>]* name="([^"]+)"/g)].map(([, field]) => field)
  assert.ok(action !== undefined && fields.length > 0, page)
  const token = new URL(link).searchParams.get('token') ?? ''
  const values = new Map([
    ['token', token],
    ['name', name],
    ['email', ''],
    ['password', PASSWORD],
    ['repeat', PASSWORD],
  ])
  const body = new URLSearchParams()
  for (const field of fields) body.set(String(field), values.get(String(field)) ?? '')
  const answer = await fetch(new URL(action, link), { method: 'POST', body })
  const text = await answer.text()
  assert.equal(answer.status, 201, text)
  assert.match(text, new RegExp(`The account ${name} is ready`))
}

/** As Ctrl-C or a service manager ends it, by the process that was started, which is npm. @returns how npm ended. */
async function end(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const closed = once(child, 'close')
    child.kill('SIGTERM')
    await closed
  }
  return child.exitCode ?? child.signalCode
}

/** How long ago a process was started, by the kernel's own clock, which counts hundredths of a second. Linux only. */
function ageSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const startedTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) - startedTicks / 100
}
