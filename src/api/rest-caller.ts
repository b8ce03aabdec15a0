import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { noStanding, type Standing, standingOf } from '../accounts/standing.ts'
import type { Doing } from '../audit/audit.ts'
import {
  findSession,
  newSessionSecret,
  type OpenSession,
  type Session,
  sessionIdOf,
  touchSession,
} from '../identity/sessions.ts'
import { type Caps, capsOf, everyCap, parseScopeText } from '../oauth/scopes.ts'
import { findUsableToken, hashTokenSecret, touchToken } from '../oauth/tokens.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { Headers } from '../platform/reply.ts'
import type { ApiServices } from './services.ts'

/** Who calls the REST API: a browser's session, an OAuth token, or nobody. */
export interface RestCaller {
  readonly by: 'session' | 'oauth' | 'basic' | 'anonymous'
  /** 0 for anonymous. */
  readonly accountId: number
  readonly name: string
  /** Of the account's own namespace; 0 for anonymous. */
  readonly namespaceId: number
  readonly tokenEpoch: number
  readonly standing: Standing
  /** How far the credential reaches. */
  readonly caps: Caps
  readonly credential: { readonly kind: 'oauth'; readonly id: number } | undefined
  /** Scopes of the OAuth token, as they are stored. */
  readonly scope: string | undefined
  readonly session: (Session & { readonly secret: string }) | undefined
  /** The secret in the cookie, also of a browser that has not signed in. */
  readonly cookie: string | undefined
  /** What the audit log says of who acts. */
  readonly actor: Doing['actor']
}

const COOKIE = '_csrf_token'
/** Written no more often than this: nobody needs to know to the second when a session or token was used. */
const TOUCH_EVERY_MS = 60_000

/** Sessions of browsers and OAuth tokens, as the REST API and the pages know their callers by. */
export class RestCallers {
  readonly #services: ApiServices
  readonly #csrfKey: Uint8Array

  constructor(services: ApiServices) {
    this.#services = services
    this.#csrfKey = new Uint8Array(hkdfSync('sha256', services.secretKey.reveal(), '', 'longshore csrf', 32))
  }

  /** Finds out who calls. Whatever cannot be used counts as nobody, as clients of Quay expect; one query at most. */
  async identify({ request, address }: Exchange, options: { readonly takesBasic?: boolean } = {}): Promise<RestCaller> {
    const header = request.headers.authorization
    if (options.takesBasic === true && header !== undefined && /^basic /i.test(header))
      return this.#byBasic(header, address, cookieOf(request.headers.cookie))
    if (header !== undefined && /^bearer /i.test(header)) return this.#byToken(header.slice(7).trim())
    const cookie = cookieOf(request.headers.cookie)
    return cookie === undefined ? anonymousCaller(undefined) : this.#byCookie(cookie)
  }

  /** Name and password with the request itself. A browser may send them on its own, so a change needs a CSRF token still. */
  async #byBasic(header: string, address: string, cookie: string | undefined): Promise<RestCaller> {
    const { identities, config } = this.#services
    const { actor, tokenEpoch, credential } = await identities.authenticateBasic(header, address)
    if (actor.kind !== 'user' || credential !== undefined) return anonymousCaller(cookie)
    const { accountId, namespaceId, name } = actor
    const standing = standingOf(config.accounts, name)
    return { ...anonymousCaller(cookie), by: 'basic', accountId, name, namespaceId, tokenEpoch, standing, actor }
  }

  async #byToken(secret: string): Promise<RestCaller> {
    const { db, clock, config } = this.#services
    const nowMs = clock.nowMs()
    const token = await db.read(findUsableToken, { secretHash: hashTokenSecret(secret), nowMs })
    if (token === undefined) return anonymousCaller(undefined)
    if (nowMs - (token.lastAccessedMs ?? 0) > TOUCH_EVERY_MS)
      await db.transaction(touchToken, { tokenId: token.id, nowMs }, { durability: 'relaxed', priority: 'background' })
    const { accountId, name, namespaceId, tokenEpoch } = token
    return {
      by: 'oauth',
      accountId,
      name,
      namespaceId,
      tokenEpoch,
      standing: standingOf(config.accounts, name),
      caps: capsOf(parseScopeText(token.scope, { superusers: config.accounts.superUsersEnabled }) ?? []),
      credential: { kind: 'oauth', id: token.id },
      scope: token.scope,
      session: undefined,
      cookie: undefined,
      actor: {
        kind: 'user',
        accountId,
        name,
        credential: {
          oauth_token_id: token.id,
          oauth_token_application_id: token.clientId,
          oauth_token_application: token.applicationName,
        },
      },
    }
  }

  async #byCookie(secret: string): Promise<RestCaller> {
    const { db, clock, config } = this.#services
    const nowMs = clock.nowMs()
    const id = sessionIdOf(secret)
    const session = await db.read(findSession, { id, nowMs, idleMs: config.accounts.sessionIdleMs })
    if (session === undefined) return anonymousCaller(secret)
    if (nowMs - session.seenMs > TOUCH_EVERY_MS)
      await db.transaction(touchSession, { id, nowMs }, { durability: 'relaxed', priority: 'background' })
    return {
      by: 'session',
      accountId: session.accountId,
      name: session.name,
      namespaceId: session.namespaceId,
      tokenEpoch: session.tokenEpoch,
      standing: standingOf(config.accounts, session.name),
      caps: everyCap,
      credential: undefined,
      scope: undefined,
      session: { ...session, secret },
      cookie: secret,
      actor: { kind: 'user', accountId: session.accountId, name: session.name },
    }
  }

  /** What a page of ours sends with every change, made from the cookie: no other site can know it. */
  csrfTokenOf(cookie: string): string {
    return createHmac('sha256', this.#csrfKey).update(cookie).digest('base64url')
  }

  /** Whether a request that changes something comes from a page that knows the token of its cookie. */
  holdsCsrfToken(caller: RestCaller, given: string | undefined): boolean {
    if (caller.cookie === undefined || given === undefined) return false
    const expected = Buffer.from(this.csrfTokenOf(caller.cookie))
    const actual = Buffer.from(given)
    return expected.length === actual.length && timingSafeEqual(expected, actual)
  }

  /** A token for the caller's cookie; a browser without one gets it with the answer. */
  csrf(caller: RestCaller): { readonly token: string; readonly headers: Headers } {
    if (caller.cookie !== undefined) return { token: this.csrfTokenOf(caller.cookie), headers: {} }
    const cookie = newSessionSecret()
    return { token: this.csrfTokenOf(cookie), headers: { 'Set-Cookie': this.#cookie(cookie) } }
  }

  /**
   * A session of its own for a browser whose user has just proved to be themselves; `before` is what it was until now.
   * The `row` is for the transaction that begins it; the `headers` tell the browser, with the token for its next change.
   */
  newSession(accountId: number, before: RestCaller): { readonly row: OpenSession; readonly headers: Headers } {
    const { clock, config } = this.#services
    const secret = newSessionSecret()
    const nowMs = clock.nowMs()
    return {
      row: {
        id: sessionIdOf(secret),
        accountId,
        nowMs,
        expiresMs: nowMs + config.accounts.sessionLifetimeMs,
        ...(before.session !== undefined && { replaces: sessionIdOf(before.session.secret) }),
      },
      headers: { 'Set-Cookie': this.#cookie(secret), 'X-Next-CSRF-Token': this.csrfTokenOf(secret) },
    }
  }

  /** The headers with which a browser forgets its session. */
  signedOut(): Headers {
    return { 'Set-Cookie': `${COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0${this.#secure()}` }
  }

  #cookie(secret: string): string {
    const { permanentSessions, sessionLifetimeMs } = this.#services.config.accounts
    const lifetime = permanentSessions ? `; Max-Age=${Math.floor(sessionLifetimeMs / 1000)}` : ''
    return `${COOKIE}=${secret}; Path=/; HttpOnly; SameSite=Lax${lifetime}${this.#secure()}`
  }

  #secure(): string {
    return this.#services.config.server.urlScheme === 'https' ? '; Secure' : ''
  }
}

/** Nobody, with the cookie that their browser has. */
export function anonymousCaller(cookie: string | undefined): RestCaller {
  return {
    by: 'anonymous',
    accountId: 0,
    name: '(anonymous)',
    namespaceId: 0,
    tokenEpoch: 0,
    standing: noStanding,
    caps: everyCap,
    credential: undefined,
    scope: undefined,
    session: undefined,
    cookie,
    actor: { kind: 'anonymous', name: '(anonymous)' },
  }
}

/** The last of that name; anything that could not be a secret of ours is none. */
function cookieOf(header: string | undefined): string | undefined {
  const values = (header ?? '').split(';').map((part) => part.trim())
  const found = values.findLast((part) => part.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1)
  return found !== undefined && /^[\w-]{43}$/.test(found) ? found : undefined
}
