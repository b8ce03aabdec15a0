/** Small images that really run, made without any network: Debian's static busybox and a file that tells them apart. */

import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { descriptorOf, digestOf, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../images.ts'
import { succeed } from './program.ts'

interface Layer {
  readonly tar: Buffer
  readonly gzipped: Buffer
}

export interface BusyboxImage {
  readonly config: string
  readonly manifest: string
  /** Of the manifest. */
  readonly digest: string
  readonly architecture: string
  /** What `cat /message` prints in a container of this image. */
  readonly message: string
  readonly layers: readonly Layer[]
}

/** Where Debian's busybox-static puts its program. */
const busybox = '/bin/busybox'

let base: Promise<Layer> | undefined

/**
 * An image whose command prints `message`. Those for the processor of this machine hold busybox in their first layer,
 * which all of them share; those for others hold the message alone.
 */
export async function aBusyboxImage(message: string, architecture = 'amd64'): Promise<BusyboxImage> {
  base ??= pack((folder) => layOutBusybox(folder))
  const note = await pack((folder) => writeFile(join(folder, 'message'), message))
  const layers = architecture === 'amd64' ? [await base, note] : [note]
  const config = JSON.stringify({
    architecture,
    os: 'linux',
    config: { Cmd: ['/bin/cat', '/message'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) },
  })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config, OCI_CONFIG),
    layers: layers.map(({ gzipped }) => descriptorOf(gzipped, OCI_LAYER)),
  })
  return { config, manifest, digest: digestOf(manifest), architecture, message, layers }
}

/** Writes images into a new OCI layout; with more than one, an index over them stands in it. @returns the name's digest. */
export async function writeLayout(folder: string, name: string, images: readonly BusyboxImage[]): Promise<string> {
  const blobs = join(folder, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const put = (bytes: Uint8Array | string) => writeFile(join(blobs, digestOf(bytes).slice('sha256:'.length)), bytes)
  for (const { config, manifest, layers } of images) {
    for (const bytes of [config, manifest, ...layers.map(({ gzipped }) => gzipped)]) await put(bytes)
  }
  const manifests = images.map(({ manifest, architecture }) =>
    descriptorOf(manifest, OCI_MANIFEST, { platform: { os: 'linux', architecture } }),
  )
  const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })
  await put(index)
  const [only] = images.length === 1 ? images : []
  const top = only === undefined ? descriptorOf(index, OCI_INDEX) : descriptorOf(only.manifest, OCI_MANIFEST)
  const named = { ...top, annotations: { 'org.opencontainers.image.ref.name': name } }
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  return top.digest
}

/** Writes an archive for `docker load`, with the image under this name. */
export async function writeDockerArchive(file: string, name: string, image: BusyboxImage): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const layers = image.layers.map(({ tar }, at) => ({ name: `layer-${at}.tar`, tar }))
    for (const layer of layers) await writeFile(join(folder, layer.name), layer.tar)
    await writeFile(join(folder, 'config.json'), image.config)
    const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: layers.map((layer) => layer.name) }]
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
    await succeed('tar', ['-C', folder, '-cf', file, '.'])
  })
}

/** A folder with a Dockerfile that starts from nothing and runs a command in what it has copied. */
export async function writeBuildContext(folder: string, message: string): Promise<void> {
  await mkdir(folder)
  await copyFile(busybox, join(folder, 'busybox'))
  await writeFile(
    join(folder, 'Dockerfile'),
    `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN echo "${message}" > /message
CMD ["/bin/cat", "/message"]
`,
  )
}

async function layOutBusybox(folder: string): Promise<void> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await copyFile(busybox, join(bin, 'busybox'))
  await chmod(join(bin, 'busybox'), 0o755)
  for (const command of ['sh', 'cat', 'echo']) await symlink('busybox', join(bin, command))
}

/** The same content gives the same bytes, so that a layer keeps its digest from run to run. */
async function pack(fill: (folder: string) => Promise<void>): Promise<Layer> {
  return await inTemporaryFolder(async (folder) => {
    await chmod(folder, 0o755)
    await fill(folder)
    const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
    const { status, stdout, stderr } = spawnSync('tar', [...plain, '-C', folder, '-cf', '-', '.'], {
      maxBuffer: 64 * 1024 * 1024,
    })
    if (status !== 0) throw new Error(`tar ended with ${status}: ${stderr}`)
    return { tar: stdout, gzipped: gzipSync(stdout) }
  })
}

async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'longshore-image-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}
