import { gzipSync } from 'node:zlib'

/** What a robot account signs in with, and where. */
export interface RobotCredential {
  /** `owner+short`. */
  readonly name: string
  readonly token: string
  /** Host, with its port if it has one. */
  readonly host: string
}

export interface CredentialFile {
  readonly contentType: string
  /** Absent: to be read, not kept. */
  readonly fileName?: string
  readonly content: string | Uint8Array
}

/** Every form in which a client takes the credentials of a robot account. */
export const credentialForms: Readonly<Record<string, (credential: RobotCredential) => CredentialFile>> = {
  token: ({ name, token, host }) => ({
    contentType: 'application/json',
    content: `${JSON.stringify({ username: name, password: token, registry: host })}\n`,
  }),
  kubernetes: (credential) => ({
    contentType: 'application/yaml; charset=utf-8',
    fileName: `${secretName(credential)}.yml`,
    content: [
      'apiVersion: v1',
      'kind: Secret',
      'metadata:',
      `  name: ${secretName(credential)}`,
      'data:',
      `  .dockerconfigjson: ${Buffer.from(dockerConfig(credential)).toString('base64')}`,
      'type: kubernetes.io/dockerconfigjson',
      '',
    ].join('\n'),
  }),
  rkt: ({ name, token, host }) => ({
    contentType: 'application/json',
    fileName: `${fileStem(name)}-auth.json`,
    content: `${JSON.stringify(
      {
        rktKind: 'dockerAuth',
        rktVersion: 'v1',
        registries: [host],
        credentials: { user: name, password: token },
      },
      undefined,
      2,
    )}\n`,
  }),
  'docker-login': (credential) => ({
    contentType: 'text/plain; charset=utf-8',
    content: loginLine('docker', credential),
  }),
  'podman-login': (credential) => ({
    contentType: 'text/plain; charset=utf-8',
    content: loginLine('podman', credential),
  }),
  'docker-config': (credential) => ({
    contentType: 'application/json',
    fileName: `${fileStem(credential.name)}-auth.json`,
    content: dockerConfig(credential),
  }),
  mesos: (credential) => ({
    contentType: 'application/gzip',
    fileName: `${fileStem(credential.name)}-credentials.tar.gz`,
    content: gzipSync(tarOf('.docker/config.json', Buffer.from(dockerConfig(credential)))),
  }),
}

/** The file that docker, podman, skopeo, helm and containerd read. */
function dockerConfig({ name, token, host }: RobotCredential): string {
  const auth = Buffer.from(`${name}:${token}`).toString('base64')
  return `${JSON.stringify({ auths: { [host]: { auth, email: '' } } }, undefined, 2)}\n`
}

/** Quoted for a shell; names and tokens have no quote in them. */
function loginLine(client: string, { name, token, host }: RobotCredential): string {
  return `${client} login -u='${name}' -p='${token}' ${host}\n`
}

/** Names of Kubernetes: lower-case letters, digits and hyphens (RFC 1123). */
function secretName({ name }: RobotCredential): string {
  return `${name.replace(/[^a-z0-9]+/g, '-').slice(0, 200)}-pull-secret`
}

function fileStem(name: string): string {
  return name.replace(/[^a-z0-9]+/g, '-').slice(0, 200)
}

const BLOCK = 512

/** An archive of one file that only its owner reads, in the form of POSIX.1-1988 (ustar). */
function tarOf(path: string, content: Uint8Array): Uint8Array {
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  header.write(path, 0, 100)
  header.write(`${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100)
  header.write(`${octal(content.length, 11)}\0${octal(0, 11)}\0`, 124)
  // The sum is made as if its own place held spaces.
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${octal(sum, 6)}\0 `, 148)
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)
  return Buffer.concat([header, content, padding, Buffer.alloc(2 * BLOCK)])
}
