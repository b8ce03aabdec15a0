import { createHash } from 'node:crypto'
import { identityKeys } from '../audit/audit.ts'
import { findManifest, findTaggedManifest, type ManifestRow } from '../manifests/manifests.ts'
import { algorithmOf, type Digest, parseDigest } from '../oci/digest.ts'
import { matchesEtag, parseEtags } from '../oci/etag.ts'
import { parseManifest } from '../oci/manifest.ts'
import { parseReference, type TagName } from '../oci/reference.ts'
import { readBody } from '../platform/body.ts'
import { refuse } from '../platform/errors.ts'
import type { Exchange } from '../platform/exchange.ts'
import { empty } from '../platform/reply.ts'
import { type Repository, splitPath } from '../repositories/repositories.ts'
import { type PushManifest, pushIntoNewRepository, pushManifest } from '../tags/push.ts'
import { deleteManifest, deleteTag, type Expected, findEndedTag } from '../tags/tags.ts'
import { route, textListParam, type V2Request } from './route.ts'
import type { RegistryServices } from './services.ts'

type Reference = { readonly kind: 'tag'; readonly tag: TagName } | { readonly kind: 'digest'; readonly digest: Digest }

function referenceOf(text: string | undefined): Reference {
  const reference = parseReference(text ?? '')
  if (reference.kind !== 'invalid') return reference
  throw refuse(reference.what === 'digest' ? 'DIGEST_INVALID' : 'TAG_INVALID', {
    reference: (text ?? '').slice(0, 200),
  })
}

/** GET and HEAD /v2/<name>/manifests/<reference>. The bytes as they were pushed, never converted. Only GET is a pull. */
export const getManifestRoute = route({
  method: ['GET', 'HEAD'],
  path: '/v2/<name>/manifests/<reference>',
  spec: 'OCI distribution 1.1, Pulling Manifests',
  access: 'pull',
  async handle(services, { repository, params, exchange, caller }) {
    const reference = referenceOf(params['reference'])
    const row = await findByReference(services, repository, reference)
    const headers = {
      'Content-Type': row.mediaType,
      'Docker-Content-Digest': row.digest,
      ETag: `"${row.digest}"`,
      'Cache-Control': reference.kind === 'digest' ? 'private, max-age=31536000, immutable' : 'private, no-cache',
    }
    const { method, headers: asked } = exchange.request
    if (asked['if-none-match'] !== undefined && matchesEtag(asked['if-none-match'], row.digest))
      return empty(304, headers)
    const whole = { ...headers, 'Content-Length': row.sizeBytes }
    if (method === 'HEAD') return { status: 200, headers: whole }
    const content = await services.contents.get(row.id)
    if (content === undefined) throw refuse('MANIFEST_UNKNOWN', { reference: row.digest })
    if (!recordPull(services, { repository, reference, row, exchange, caller })) {
      throw refuse(
        'UNAVAILABLE',
        { retryAfterSeconds: 5 },
        'Pulls cannot be logged at the moment, and this registry serves none that it cannot log.',
      )
    }
    return { status: 200, headers: whole, body: { latin1: content } }
  },
})

async function findByReference(
  services: RegistryServices,
  repository: Repository,
  reference: Reference,
): Promise<ManifestRow> {
  const { db, clock } = services
  const repositoryId = repository.id
  if (reference.kind === 'digest') {
    const row = await db.read(findManifest, { repositoryId, digest: reference.digest })
    if (row === undefined) throw refuse('MANIFEST_UNKNOWN', { reference: reference.digest })
    return row
  }
  const { tag } = reference
  const row = await db.read(findTaggedManifest, { repositoryId, tag, nowMs: clock.nowMs() })
  if (row !== undefined) return row
  const ended = await db.read(findEndedTag, { repositoryId, tag })
  if (ended !== undefined) throw refuse('TAG_EXPIRED', { reference: tag, ended: new Date(ended.endMs).toISOString() })
  throw refuse('MANIFEST_UNKNOWN', { reference: tag })
}

interface Pull {
  readonly repository: Repository
  readonly reference: Reference
  readonly row: ManifestRow
  readonly exchange: Exchange
  readonly caller: V2Request<object>['caller']
}

/** False when the pull could not be noted and the operator wants none that is not. */
function recordPull(services: RegistryServices, { repository, reference, row, exchange, caller }: Pull): boolean {
  const noted = services.pulls.record({
    kind: 'pull_repo',
    namespaceId: repository.namespaceId,
    repositoryId: repository.id,
    actor: caller.actor,
    address: exchange.address,
    occurredMs: services.clock.nowMs(),
    metadata: {
      ...repositoryKeys(repository.path),
      'user-agent': userAgentOf(exchange),
      ...(reference.kind === 'tag' && { tag: reference.tag }),
      manifest_digest: row.digest,
      mediaType: row.mediaType,
      ...identityKeys(caller.actor),
    },
  })
  return noted || !services.config.registry.strictPullLogging
}

function repositoryKeys(path: string): { repo: string; namespace: string } {
  const { namespace, name } = splitPath(path)
  return { repo: name, namespace }
}

const MAX_AGENT_CHARACTERS = 256

function userAgentOf({ request }: Exchange): string {
  return (request.headers['user-agent'] ?? '').slice(0, MAX_AGENT_CHARACTERS)
}

const MAX_TAGS_PER_PUSH = 100

/**
 * PUT /v2/<name>/manifests/<reference>[?tag=…]. Accepts only what is whole; says so in one transaction. What a client
 * expects is expected of the tags if there are any, else of the digest.
 */
export const putManifestRoute = route({
  method: 'PUT',
  path: '/v2/<name>/manifests/<reference>',
  spec: 'OCI distribution 1.1, Pushing Manifests; end-7b for ?tag=',
  access: 'create',
  query: { tag: textListParam('Tags to point at the manifest, with a digest as reference') },
  async handle(services, request) {
    const { params, query, exchange, caller, path } = request
    const { config, clock } = services
    const reference = referenceOf(params['reference'])
    const tags = reference.kind === 'tag' ? [reference.tag] : tagsOf(query.tag)
    const content = await readManifest(services, exchange)
    const digest = digestOf(content, reference)
    const parsed = parseManifest(content, exchange.request.headers['content-type'] ?? '')
    if (!parsed.ok) throw problemOf(parsed.problem)
    const expected = expectedOf(exchange)
    if (expected !== undefined && tags.length === 0) {
      const isThere = request.existing !== undefined && (await isServed(services, request.existing.id, digest))
      if (!isExpected(expected, digest, isThere)) throw refuse('PRECONDITION_FAILED', { digest })
    }
    await pushTo(services, request, {
      actor: caller.actor,
      address: exchange.address,
      userAgent: userAgentOf(exchange),
      nowMs: clock.nowMs(),
      digest,
      content,
      manifest: parsed.manifest,
      tags,
      expiresMs: null,
      ...(expected !== undefined && { expected }),
      sparse: config.registry.sparseIndex,
      leaseMs: config.registry.uploadLeaseMs,
    })
    const { subject } = parsed.manifest
    return empty(201, {
      Location: `/v2/${path}/manifests/${digest}`,
      'Docker-Content-Digest': digest,
      ...(subject !== undefined && { 'OCI-Subject': subject.digest }),
      ...(reference.kind === 'digest' && tags.length > 0 && { 'OCI-Tag': tags }),
    })
  },
})

/** Pushes into the repository of the path, and makes it if the push may and is accepted. */
async function pushTo(
  { config, db }: RegistryServices,
  { existing, ensureRepository, path }: Pick<V2Request<object>, 'existing' | 'ensureRepository' | 'path'>,
  push: Omit<PushManifest, 'repository'>,
): Promise<void> {
  if (existing === undefined) {
    const { createPrivateRepoOnPush, createNamespaceOnPush } = config.accounts
    const { actor, address, nowMs } = push
    const visibility = createPrivateRepoOnPush ? ('private' as const) : ('public' as const)
    const repository = { path, visibility, createNamespace: createNamespaceOnPush, actor, address, nowMs }
    if (await db.transaction(pushIntoNewRepository, { repository, push })) return
  }
  // Also for one that somebody else has just made: this asks whether the caller may push into it.
  const { id, namespaceId, path: ownPath } = await ensureRepository()
  await db.transaction(pushManifest, { ...push, repository: { id, namespaceId, path: ownPath } })
}

function tagsOf(texts: readonly string[]): TagName[] {
  if (texts.length > MAX_TAGS_PER_PUSH)
    throw refuse('INVALID_REQUEST', { limit: MAX_TAGS_PER_PUSH }, `A push sets ${MAX_TAGS_PER_PUSH} tags at most.`)
  const tags = texts.map((text) => {
    const reference = parseReference(text)
    if (reference.kind !== 'tag') throw refuse('TAG_INVALID', { reference: text.slice(0, 200) })
    return reference.tag
  })
  return [...new Set(tags)]
}

async function readManifest({ config }: RegistryServices, { request, response }: Exchange): Promise<Uint8Array> {
  const limit = config.registry.manifestMaxBytes
  const body = await readBody(request, response, limit, config.server.bodyIdleTimeoutMs)
  if (body.outcome === 'complete') {
    // A copy of its own: what the socket gave is a part of a shared buffer.
    return new Uint8Array(body.bytes)
  }
  if (body.outcome === 'too-large') throw refuse('MANIFEST_TOO_LARGE', { limit })
  throw refuse('MANIFEST_INVALID', {}, 'The connection ended before the manifest was complete.')
}

function digestOf(content: Uint8Array, reference: Reference): Digest {
  const algorithm = reference.kind === 'digest' ? algorithmOf(reference.digest) : 'sha256'
  const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(content).digest('hex')}`)
  if (digest === undefined) throw new Error('A computed digest is not a digest')
  if (reference.kind === 'digest' && reference.digest !== digest) {
    throw refuse('DIGEST_MISMATCH', { expected: reference.digest, received: digest })
  }
  return digest
}

function problemOf(problem: {
  code: 'MANIFEST_INVALID' | 'MANIFEST_TYPE_UNSUPPORTED' | 'SIZE_INVALID'
  message: string
  path?: string | undefined
}): Error {
  const code = problem.code === 'SIZE_INVALID' ? 'MANIFEST_INVALID' : problem.code
  return refuse(code, problem.path === undefined ? {} : { path: problem.path }, problem.message)
}

/** `If-Match` and `If-None-Match: *` make a write conditional (RFC 9110, 13.1). */
function expectedOf({ request }: Exchange): Expected | undefined {
  if (request.headers['if-none-match']?.trim() === '*') return 'absent'
  const ifMatch = request.headers['if-match']
  if (ifMatch === undefined) return undefined
  const tags = parseEtags(ifMatch)
  if (tags === undefined)
    throw refuse('INVALID_REQUEST', {}, 'If-Match must be * or a list of quoted digests, such as "sha256:…".')
  if (tags === 'any') return 'present'
  // What is weak or no digest can never be what a tag names, so it matches nothing.
  return tags.flatMap(({ weak, value }) => (weak ? [] : (parseDigest(value) ?? [])))
}

/**
 * What a digest names never changes, so a write of one depends only on whether it is there. Looking before the write is
 * enough: a push or deletion in between could as well have come first.
 */
function isExpected(expected: Expected, digest: Digest, isThere: boolean): boolean {
  if (expected === 'absent') return !isThere
  return isThere && (expected === 'present' || expected.includes(digest))
}

async function isServed({ db }: Pick<RegistryServices, 'db'>, repositoryId: number, digest: Digest): Promise<boolean> {
  return (await db.read(findManifest, { repositoryId, digest })) !== undefined
}

/** DELETE /v2/<name>/manifests/<reference>. A tag ends; a digest ends with all its tags. */
export const deleteManifestRoute = route({
  method: 'DELETE',
  path: '/v2/<name>/manifests/<reference>',
  spec: 'OCI distribution 1.1, Deleting Manifests and Deleting Tags',
  access: 'delete',
  async handle({ db, clock, config }, { repository, params, caller, exchange }) {
    const reference = referenceOf(params['reference'])
    const { id, namespaceId, path } = repository
    const write = {
      repository: { id, namespaceId, path },
      actor: caller.actor,
      address: exchange.address,
      userAgent: userAgentOf(exchange),
      nowMs: clock.nowMs(),
    }
    const expected = expectedOf(exchange)
    if (reference.kind === 'tag')
      await db.transaction(deleteTag, { ...write, tag: reference.tag, ...(expected !== undefined && { expected }) })
    else {
      const { digest } = reference
      // What is not there is refused as such, whatever was expected of it (RFC 9110, 13.2.1).
      if (expected !== undefined && (await isServed({ db }, id, digest)) && !isExpected(expected, digest, true))
        throw refuse('PRECONDITION_FAILED', { digest })
      const deletion = { ...write, digest: reference.digest, graceMs: config.gc.graceMs }
      let outcome: 'done' | 'again'
      do outcome = await db.transaction(deleteManifest, deletion)
      while (outcome === 'again')
    }
    return empty(202)
  },
})
