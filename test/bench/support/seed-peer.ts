import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, OCI_MANIFEST } from '../../support/images.ts'
import { paddedManifest } from './seed-ours.ts'

export interface PeerTags {
  readonly repositories: readonly string[]
  readonly tagsEach: number
  tagOf(tag: number): string
}

/**
 * Writes tags into the peer's storage as it would have done itself: a folder per tag with a link, and the manifest as a
 * blob. One manifest per tag in small repositories, one for all in large ones, where only the names count.
 */
export async function seedPeerTags(dir: string, { repositories, tagsEach, tagOf }: PeerTags): Promise<void> {
  const base = join(dir, 'storage/docker/registry/v2')
  const shared = tagsEach > 100
  for (const [r, repository] of repositories.entries()) {
    const manifests = join(base, 'repositories', repository, '_manifests')
    let digest = ''
    for (let t = 0; t < tagsEach; t++) {
      if (t === 0 || !shared) digest = await writeManifest(base, manifests, r * tagsEach + t)
      await writeDeep(join(manifests, 'tags', tagOf(t), 'current/link'), digest)
    }
  }
}

async function writeManifest(base: string, manifests: string, number: number): Promise<string> {
  const body = paddedManifest(OCI_MANIFEST, String(number))
  const digest = digestOf(body)
  const hex = digest.slice('sha256:'.length)
  await writeDeep(join(base, 'blobs/sha256', hex.slice(0, 2), hex, 'data'), body)
  await writeDeep(join(manifests, 'revisions/sha256', hex, 'link'), digest)
  return digest
}

async function writeDeep(file: string, text: string): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, text)
}
