import { createHash, randomBytes, randomFillSync } from 'node:crypto'
import type { Connection } from './connection.ts'
import { ACCEPT, type PushJob, type Target, type Work } from './job.ts'

/** Enough to make each blob differ from every other one; the rest of the bytes is random too but shared by a run. */
const HEAD_BYTES = 64

/** Makes and hashes everything, so that pushing is only a matter of sockets. */
export function preparePush(job: PushJob): Work {
  const shared = Buffer.allocUnsafe(Math.max(0, job.sizeBytes - HEAD_BYTES))
  randomFillSync(shared)
  const blobs = Array.from({ length: job.count }, () => {
    const head = randomBytes(Math.min(HEAD_BYTES, job.sizeBytes))
    return { head, digest: `sha256:${createHash('sha256').update(head).update(shared).digest('hex')}` }
  })
  const start = requestHead('POST', `/v2/${job.repository}/blobs/uploads/`, job, 'Content-Length: 0\r\n')
  const withBytes = `Content-Type: application/octet-stream\r\nContent-Length: ${job.sizeBytes}\r\n`

  async function push(connection: Connection, index: number): Promise<number> {
    const blob = blobs[index]
    if (blob === undefined) throw new Error(`There is no blob ${index}`)
    const body = [blob.head, shared]
    const opened = expect(await connection.send([start]), 202, 'POST')
    if (job.form === 'put') {
      const path = withDigest(opened, blob.digest)
      expect(await connection.send([requestHead('PUT', path, job, withBytes), ...body]), 201, 'PUT')
      return job.sizeBytes
    }
    const patch = requestHead('PATCH', opened, job, withBytes)
    const patched = expect(await connection.send([patch, ...body]), 202, 'PATCH')
    const finish = requestHead('PUT', withDigest(patched, blob.digest), job, 'Content-Length: 0\r\n')
    expect(await connection.send([finish]), 201, 'PUT')
    return job.sizeBytes
  }
  return { run: push, count: job.count, digests: blobs.map((blob) => blob.digest) }
}

/** The head of a request as bytes. `lines` are complete header lines. */
export function requestHead(method: string, path: string, { host, port, authorization }: Target, lines = ''): Buffer {
  const auth = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n${auth}${ACCEPT}${lines}\r\n`, 'latin1')
}

/** @returns the path of the Location, which may be given with or without a host. */
function expect(response: { status: number; location: string | undefined }, status: number, what: string): string {
  if (response.status !== status) throw new Error(`${what} was answered ${response.status}, not ${status}`)
  return (response.location ?? '').replace(/^https?:\/\/[^/]+/, '')
}

function withDigest(path: string, digest: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`
}
