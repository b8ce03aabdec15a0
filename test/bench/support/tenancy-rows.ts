import type { DatabaseSync } from 'node:sqlite'
import { hashTokenSecret } from '../../../src/oauth/tokens.ts'
import { runLoad } from './load.ts'
import type { OurSubject } from './ours.ts'
import type { Metric, Sample } from './row.ts'

/** What one kind of call is asked, over and over, in the order of the list. */
export interface Asked {
  readonly key: string
  /** For the table. */
  readonly what: string
  readonly paths: readonly string[]
  readonly authorization: string
  readonly count: number
}

/** Of each kind its p99 and its CPU. */
export function metricsOf(kinds: readonly Pick<Asked, 'key' | 'what'>[]): Metric[] {
  return kinds.flatMap(({ key, what }) => [
    { key: `${key}P99`, unit: `ms p99, ${what}`, better: 'lower' as const },
    { key: `${key}Cpu`, unit: `µs CPU, ${what}`, better: 'lower' as const },
  ])
}

/**
 * Asks one kind after the other, one request at a time, server and client on a core of their own. What a client sees holds
 * the server's time and the way to it, so a limit for the server is kept if it is kept here.
 */
export async function measureKinds(subject: OurSubject, kinds: readonly Asked[]): Promise<Sample> {
  const sample: Record<string, number> = {}
  const foreign: number[] = []
  for (const { key, paths, authorization, count } of kinds) {
    const requests = paths.map((path) => ({ path }))
    const work = { kind: 'requests' as const, method: 'GET', requests, count, streams: 1, expectedStatus: 200 }
    const { result, serverCpuSeconds, foreignCores } = await runLoad({
      ...{ subject, authorization, oneCore: true },
      job: work,
    })
    sample[`${key}P99`] = result.p99Ms
    sample[`${key}Cpu`] = (serverCpuSeconds * 1e6) / result.count
    foreign.push(foreignCores)
  }
  return { ...sample, foreign: foreign.reduce((sum, cores) => sum + cores, 0) / foreign.length }
}

/** `Authorization` of an OAuth token with every scope, of a user who exists. To be called while the server is down. */
export function insertApiToken(db: DatabaseSync, user: string): string {
  const secret = `${user}${'t'.repeat(40)}`.slice(0, 40)
  db.prepare(`
    insert into oauth_application (client_id, secret_sealed, namespace_id, name, description, application_uri, redirect_uri, created_ms)
    select :user, x'00', namespace_id, 'bench', '', '', '', 0 from account where name = :user`).run({ user })
  db.prepare(`
    insert into oauth_token (uuid, application_id, account_id, origin, secret_hash, scope, created_ms, expires_ms)
    select :user, p.id, a.id, 'granted', :hash, :scope, 0, 9000000000000000
      from account a join oauth_application p on p.client_id = a.name where a.name = :user`).run({
    user,
    hash: hashTokenSecret(secret),
    scope: 'repo:read repo:write repo:admin repo:create user:read user:admin org:admin',
  })
  return `Bearer ${secret}`
}

/** A user without a password, who comes with a token. */
export function insertUser(db: DatabaseSync, name: string): void {
  db.prepare(`insert into namespace (name, kind, state, created_ms) values (:name, 'user', 'active', 0)`).run({ name })
  db.prepare(`
    insert into account (kind, name, namespace_id, enabled, token_epoch, created_ms)
    select 'user', name, id, 1, 1, 0 from namespace where name = :name`).run({ name })
}

/** `count` places in a list of `size`, spread over all of it, the same in every run. */
export function places(count: number, size: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 7_919 * 37 + 11) % size)
}

/** The paths of a list, as a client walks it, from the first page to the last. */
export async function walkPages(
  subject: OurSubject,
  path: string,
  authorization: string,
  most: number,
): Promise<string[]> {
  const found: string[] = []
  let next: string | undefined = ''
  while (next !== undefined && found.length < most) {
    const page = next === '' ? path : `${path}&next_page=${encodeURIComponent(next)}`
    found.push(page)
    const answer = await fetch(`http://${subject.host}:${subject.port}${page}`, { headers: { authorization } })
    if (answer.status !== 200) throw new Error(`${page} was answered ${answer.status}: ${await answer.text()}`)
    const body: unknown = await answer.json()
    next = typeof body === 'object' && body !== null && 'next_page' in body ? String(body.next_page) : undefined
  }
  return found
}
