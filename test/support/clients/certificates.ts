/** Certificates as an operator gets them: signed by an authority that clients have to be told of. */
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { succeed } from './program.ts'

export interface Authority {
  /** A folder as container tools want it (`--cert-dir`): the authority's certificate lies in it as `ca.crt`. */
  readonly certDir: string
  readonly certFile: string
  readonly keyFile: string
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Makes an authority in a new folder. */
export async function createAuthority(folder: string): Promise<Authority> {
  const certDir = join(folder, 'trust')
  await mkdir(certDir, { recursive: true })
  const [certFile, keyFile] = [join(certDir, 'ca.crt'), join(folder, 'ca.key.pem')]
  const subject = ['-subj', '/CN=An authority of tests', '-addext', 'keyUsage=critical,keyCertSign']
  await succeed('openssl', ['req', '-x509', ...newKey, '-keyout', keyFile, '-out', certFile, '-days', '2', ...subject])
  return { certDir, certFile, keyFile }
}

/**
 * Puts a new certificate for 127.0.0.1 and its key where a server reads them, as a tool for renewal does: the key first,
 * both by renaming, so that nobody ever reads half a file.
 */
export async function issueCertificate(
  authority: Authority,
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string },
): Promise<void> {
  const [cert, key] = [`${certFile}.new`, `${keyFile}.new`]
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const signer = ['-CA', authority.certFile, '-CAkey', authority.keyFile]
  await succeed('openssl', ['req', '-x509', ...newKey, '-keyout', key, '-out', cert, '-days', '2', ...names, ...signer])
  await rename(key, keyFile)
  await rename(cert, certFile)
}
