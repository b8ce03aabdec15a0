import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { aBusyboxImage, writeLayout } from '../support/clients/busybox-image.ts'
import { type Authority, createAuthority, issueCertificate } from '../support/clients/certificates.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import {
  describeLifetime,
  PASSWORD,
  type ServerProcess,
  startServerProcess,
} from '../support/clients/server-process.ts'

describe('TLS by certificate files', () => {
  before(ensureClients)
  const lifetime = describeLifetime()
  let files: { certFile: string; keyFile: string }
  let authority: Authority
  let server: ServerProcess
  let tools: ContainerTools
  let layout: string
  before(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'longshore-tls-'))
    lifetime.after(() => rm(dir, { recursive: true }))
    files = { certFile: join(dir, 'server.crt'), keyFile: join(dir, 'server.key') }
    authority = await createAuthority(join(dir, 'first'))
    await issueCertificate(authority, files)
    const settings = { TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile }
    server = await startServerProcess(lifetime, { settings })
    await server.createUsers('ann')
    tools = await ContainerTools.prepare(lifetime)
    layout = join(tools.dir, 'layout')
    await writeLayout(layout, 'image', [await aBusyboxImage('by TLS\n')])
  })

  const at = (path: string) => `docker://${server.host}/${path}`
  const credentials = `ann:${PASSWORD}`
  const copyIn = (certDir: string, path: string) => [
    ...['copy', '--dest-cert-dir', certDir, '--dest-creds', credentials],
    ...[`oci:${layout}:image`, at(path)],
  ]
  const inspect = (certDir: string, path: string) => [
    ...['inspect', '--raw', '--cert-dir', certDir, '--creds', credentials],
    at(path),
  ]

  test('clients that trust the authority push and pull, and get their token by TLS as well', async () => {
    assert.match(server.url, /^https:/)
    await tools.run('skopeo', ...copyIn(authority.certDir, 'ann/tls:1'))
    const name = `${server.host}/ann/tls:1`
    await tools.run('podman', 'pull', '--cert-dir', authority.certDir, '--creds', credentials, name)
    assert.equal(await tools.runImage(name), 'by TLS')
  })

  test('a client that does not know the authority refuses to send its password', async () => {
    const requests = server.log().length
    const said = await tools.fail('skopeo', 'inspect', '--creds', credentials, at('ann/tls:1'))
    assert.match(said, /certificate signed by unknown authority/)
    assert.equal(server.log().length, requests)
  })

  test('a certificate that is replaced on disk is taken over without a restart; a broken one is not', async (t) => {
    await tools.run('skopeo', ...copyIn(authority.certDir, 'ann/renewed:1'))
    const dir = await mkdtemp(join(tmpdir(), 'longshore-tls-'))
    t.after(() => rm(dir, { recursive: true }))
    const second = await createAuthority(dir)
    assert.match(
      await tools.fail('skopeo', ...inspect(second.certDir, 'ann/renewed:1')),
      /unknown authority|ECDSA verification/,
    )
    await issueCertificate(second, files)
    await server.waitForLog('it takes over the certificate', (line) => line['tls.cert_file'] !== undefined)
    await tools.run('skopeo', ...inspect(second.certDir, 'ann/renewed:1'))
    await tools.fail('skopeo', ...inspect(authority.certDir, 'ann/renewed:1'))

    await writeFile(files.certFile, 'half a certifi')
    const complaint = (line: { level?: unknown }) => line.level === 'error'
    await server.waitForLog('it complains about the certificate', complaint)
    assert.match(String(server.log().find(complaint)?.['msg']), /cannot be used; the old one stays/)
    await tools.run('skopeo', ...inspect(second.certDir, 'ann/renewed:1'))
  })
})
