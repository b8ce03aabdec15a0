import type { Connection } from './connection.ts'

/** What the load generator, a process of its own, is told and tells. Plain data: it crosses between processes. */

/**
 * What clients say they take. The peer answers 404 to whoever does not name the type of a manifest, so every request of a
 * run carries it, on both sides.
 */
export const ACCEPT = 'Accept: application/vnd.oci.image.manifest.v1+json, */*\r\n'

export interface Target {
  readonly host: string
  readonly port: number
  readonly authorization: string | undefined
}

/** Pushes blobs of random bytes that nobody has, made and hashed before the clock runs. */
export interface PushJob extends Target {
  readonly kind: 'push'
  /** `patch`: POST, PATCH with the bytes, PUT with the digest, as docker does. `put`: POST, PUT with bytes and digest. */
  readonly form: 'patch' | 'put'
  readonly repository: string
  readonly sizeBytes: number
  readonly count: number
  readonly streams: number
}

export interface PlainRequest {
  readonly path: string
  readonly contentType?: string
  readonly body?: string
}

/** Sends a list of requests, over and over until `count` have been answered. */
export interface RequestsJob extends Target {
  readonly kind: 'requests'
  readonly method: string
  readonly requests: readonly PlainRequest[]
  readonly count: number
  readonly streams: number
  readonly expectedStatus: number
}

export type Job = PushJob | RequestsJob

export interface LoadResult {
  readonly count: number
  /** Bodies that were sent and received, in bytes. */
  readonly bytes: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly clientCpuSeconds: number
  /** Answers that were not the expected ones; the row is void if there are any. */
  readonly wrong: number
  readonly firstWrong: string | undefined
  /** Digests of what was pushed. */
  readonly digests: readonly string[]
}

/** The next thing to send on a connection; resolves when it has been answered. */
export interface Work {
  /** Starts number `index`. @returns bytes that were moved. @throws Error that says which answer was wrong. */
  run(connection: Connection, index: number): Promise<number>
  readonly count: number
  readonly digests: readonly string[]
}
