import { mountBlob } from '../blobs/blobs.ts'
import type { UploadRequest } from '../blobs/uploading.ts'
import type { Digest } from '../oci/digest.ts'
import { parseRepositoryPath } from '../oci/name.ts'
import { parseContentRange } from '../oci/range.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { empty, type Reply } from '../platform/reply.ts'
import type { Repository } from '../repositories/repositories.ts'
import { covers } from './caller.ts'
import { findMountSource } from './mount.ts'
import { accessQuery } from './permit.ts'
import { digestQueryParam, type QueryParameter, route, textParam, type V2Request } from './route.ts'
import type { RegistryServices } from './services.ts'
import { rangeOf } from './wire-errors.ts'

const algorithmParam: QueryParameter<'sha256' | 'sha512'> = {
  describe: 'The hash of the digest that will be given at the end: sha256 (default) or sha512',
  parse(values) {
    const text = values.at(-1) ?? 'sha256'
    if (text !== 'sha256' && text !== 'sha512')
      throw refuse('DIGEST_INVALID', { algorithm: text.slice(0, 40) }, 'The digest algorithm must be sha256 or sha512.')
    return text
  },
}

/** POST /v2/<name>/blobs/uploads/. Opens a session, or mounts, or takes a whole blob at once. */
export const startUploadRoute = route({
  method: 'POST',
  path: '/v2/<name>/blobs/uploads/',
  spec: 'OCI distribution 1.1, Pushing Blobs and Mounting a blob; end-4b, end-4c',
  access: 'create',
  query: {
    digest: digestQueryParam('The digest of the body, for an upload in one request'),
    mount: digestQueryParam('A blob to take over from another repository'),
    from: textParam('The repository to take it from; without it one is looked for'),
    'digest-algorithm': algorithmParam,
  },
  async handle(services, request) {
    const { query, caller } = request
    const repository = await request.ensureRepository()
    if (query.mount !== undefined && (await mount(services, request, repository, query.mount, query.from))) {
      return created(repository, query.mount)
    }
    const owner = { repositoryId: repository.id, subject: caller.subject }
    const { id } = services.uploading.open(owner, query['digest-algorithm'])
    if (query.digest === undefined) return accepted(202, repository, id, 0)
    await services.uploading.finish({ ...uploadRequest(request, repository, id), digest: query.digest })
    return created(repository, query.digest)
  },
})

/** False whenever the blob is not there for this caller, whatever the reason: the client then uploads it. */
async function mount(
  services: RegistryServices,
  request: V2Request<object>,
  repository: Repository,
  digest: Digest,
  from: string | undefined,
): Promise<boolean> {
  const sourceId =
    from === undefined
      ? await findMountSource(services, request.caller, repository, digest)
      : await readableSource(services, request, from)
  if (sourceId === undefined) return false
  const leasedUntilMs = services.clock.nowMs() + services.config.registry.uploadLeaseMs
  const target = { id: repository.id, path: repository.path }
  return services.db.transaction(mountBlob, { fromRepositoryId: sourceId, repository: target, digest, leasedUntilMs })
}

/** The source must be readable by the caller and by what the credential was issued for; public ones are for everybody. */
async function readableSource(
  services: RegistryServices,
  { caller }: V2Request<object>,
  from: string,
): Promise<number | undefined> {
  const { librarySupport, libraryNamespace } = services.config.accounts
  const path = parseRepositoryPath(from, librarySupport ? { libraryNamespace } : {})
  if (path === undefined) return undefined
  const { repository, rights, subjectValid } = await services.access.get(accessQuery(caller, path))
  if (repository === undefined || !subjectValid || !rights.pull) return undefined
  return repository.visibility === 'public' || covers(caller.ceiling, path, 'pull') ? repository.id : undefined
}

/** GET /v2/<name>/blobs/uploads/<id>. How much is stored. */
export const uploadStatusRoute = route({
  method: 'GET',
  path: '/v2/<name>/blobs/uploads/<id>',
  spec: 'OCI distribution 1.1, Pushing a blob in chunks; end-13',
  access: 'push',
  async handle({ uploading }, { repository, params, caller }) {
    const id = params['id'] ?? ''
    const { offsetBytes } = await uploading.status({ repositoryId: repository.id, subject: caller.subject }, id)
    return accepted(204, repository, id, offsetBytes)
  },
})

/** PATCH /v2/<name>/blobs/uploads/<id>. Appends a stream, or a chunk whose Content-Range must begin where it stands. */
export const appendUploadRoute = route({
  method: 'PATCH',
  path: '/v2/<name>/blobs/uploads/<id>',
  spec: 'OCI distribution 1.1, Pushing a blob in chunks',
  access: 'push',
  async handle({ uploading }, request) {
    const id = request.params['id'] ?? ''
    const input = uploadRequest(request, request.repository, id)
    const { offsetBytes } = await withLocation(request.repository, id, () => uploading.append(input))
    return accepted(202, request.repository, id, offsetBytes)
  },
})

const finishDigest: QueryParameter<Digest> = {
  describe: 'The digest of the whole blob',
  parse(values) {
    const digest = digestQueryParam('').parse(values)
    if (digest === undefined)
      throw refuse(
        'UPLOAD_INVALID',
        {},
        'The last request of an upload needs ?digest= with the digest of the whole blob.',
      )
    return digest
  },
}

/** PUT /v2/<name>/blobs/uploads/<id>?digest=. Takes the last bytes, compares the digest, and the blob is there. */
export const finishUploadRoute = route({
  method: 'PUT',
  path: '/v2/<name>/blobs/uploads/<id>',
  spec: 'OCI distribution 1.1, Pushing Blobs',
  access: 'push',
  query: { digest: finishDigest },
  async handle({ uploading }, request) {
    const id = request.params['id'] ?? ''
    const input = { ...uploadRequest(request, request.repository, id), digest: request.query.digest }
    await withLocation(request.repository, id, () => uploading.finish(input))
    return created(request.repository, request.query.digest)
  },
})

/** DELETE /v2/<name>/blobs/uploads/<id>. */
export const cancelUploadRoute = route({
  method: 'DELETE',
  path: '/v2/<name>/blobs/uploads/<id>',
  spec: 'Docker Registry HTTP API v2, Canceling an Upload',
  access: 'push',
  async handle({ uploading }, { repository, params, caller }) {
    await uploading.cancel({ repositoryId: repository.id, subject: caller.subject }, params['id'] ?? '')
    return empty(204)
  },
})

function uploadRequest({ exchange, caller }: V2Request<object>, repository: Repository, id: string): UploadRequest {
  const { request, response } = exchange
  const header = request.headers['content-range']
  const range = typeof header === 'string' ? parseContentRange(header) : undefined
  if (header !== undefined && range === undefined) {
    throw refuse(
      'UPLOAD_INVALID',
      { content_range: String(header).slice(0, 100) },
      'Content-Range must be <first>-<last>, such as 0-1023, without a unit.',
    )
  }
  return {
    subject: caller.subject,
    repository: { id: repository.id, path: repository.path },
    id,
    range,
    request,
    response,
  }
}

/** A client that is told 416 needs to know where to go on. */
async function withLocation<T>(repository: Repository, id: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isRefusal(error, 'UPLOAD_RANGE')) throw error
    throw refuse('UPLOAD_RANGE', { ...error.detail, location: locationOf(repository, id) }, undefined, error)
  }
}

function accepted(status: 202 | 204, repository: Repository, id: string, offsetBytes: number): Reply {
  return empty(status, { Location: locationOf(repository, id), Range: rangeOf(offsetBytes), 'Docker-Upload-UUID': id })
}

function created(repository: Repository, digest: Digest): Reply {
  return empty(201, { Location: `/v2/${repository.path}/blobs/${digest}`, 'Docker-Content-Digest': digest })
}

function locationOf(repository: Repository, id: string): string {
  return `/v2/${repository.path}/blobs/uploads/${id}`
}
