import { timingSafeEqual } from 'node:crypto'
import { findUsableAppToken, touchAppToken } from '../accounts/app-tokens.ts'
import { findRobotSignIn, hashSecretText, touchAccount } from '../accounts/robots.ts'
import type { Db } from '../db/db.ts'
import { capsOf, parseScopeText } from '../oauth/scopes.ts'
import { findUsableToken, hashTokenSecret, touchToken } from '../oauth/tokens.ts'
import type { Clock } from '../platform/clock.ts'
import type { Credential, CredentialKind, Identity, Refusal } from './credential.ts'

interface Parts {
  readonly db: Db
  readonly clock: Clock
}

/** Written no more often than this: nobody needs to know to the second when something was used. */
const TOUCH_EVERY_MS = 60_000
const BEHIND = { durability: 'relaxed', priority: 'background' } as const

/**
 * `owner+robot` and its token. Tokens are long and random, so guessing needs no back-off, and the builds of one owner
 * cannot be locked out by somebody else's attempts.
 */
export class RobotToken implements CredentialKind {
  readonly name = 'robot'
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  matches(username: string): boolean {
    return username.includes('+')
  }

  async authenticate({ username, secret }: Credential): Promise<Identity | Refusal> {
    const { db, clock } = this.#parts
    const robot = await db.read(findRobotSignIn, { name: username.toLowerCase() })
    if (robot === undefined || robot.secretHash === null || !sameText(hashSecretText(secret), robot.secretHash))
      return { refused: `There is no robot account ${plain(username)} with this token. Was the token regenerated?` }
    if (robot.enabled !== 1 || robot.ownerState !== 'active')
      return { refused: `The robot account ${robot.name} or its owner is disabled.` }
    const nowMs = clock.nowMs()
    const { id: accountId, name, namespaceId, tokenEpoch, lastAccessedMs } = robot
    const isTouched = nowMs - (lastAccessedMs ?? 0) <= TOUCH_EVERY_MS
    if (!isTouched) await db.transaction(touchAccount, { accountId, nowMs }, BEHIND)
    return {
      actor: { kind: 'robot', accountId, name, namespaceId },
      tokenEpoch,
      keep: {
        scopes: [`s:${accountId}`, `n:${namespaceId}`],
        // Then it is looked at again, and found to be still used.
        untilMs: (isTouched ? (lastAccessedMs ?? nowMs) : nowMs) + TOUCH_EVERY_MS,
      },
    }
  }
}

/** `$app` and an app-specific token: its user, for as long as the token exists. */
export class AppSpecificToken implements CredentialKind {
  readonly name = 'app-specific token'
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  matches(username: string): boolean {
    return username === '$app'
  }

  async authenticate({ secret }: Credential): Promise<Identity | Refusal> {
    const { db, clock } = this.#parts
    const nowMs = clock.nowMs()
    const token = await db.read(findUsableAppToken, { secretHash: hashSecretText(secret), nowMs })
    if (token === undefined) return { refused: 'This app-specific token does not exist, was revoked or has expired.' }
    if (token.enabled !== 1) return { refused: `The account ${token.name} is disabled.` }
    if (nowMs - (token.lastAccessedMs ?? 0) > TOUCH_EVERY_MS)
      await db.transaction(touchAppToken, { tokenId: token.id, nowMs }, BEHIND)
    const { accountId, name, namespaceId, tokenEpoch } = token
    const credential = { app_specific_token: token.uuid, app_specific_token_title: token.title }
    return {
      actor: { kind: 'user', accountId, name, namespaceId, credential },
      tokenEpoch,
      credential: { kind: 'app', id: token.id },
    }
  }
}

/** `$oauthtoken` and an OAuth access token: whoever has granted it, as far as its scopes reach. */
export class OauthToken implements CredentialKind {
  readonly name = 'OAuth token'
  readonly #parts: Parts & { readonly superusers: boolean }

  constructor(parts: Parts & { readonly superusers: boolean }) {
    this.#parts = parts
  }

  matches(username: string): boolean {
    return username === '$oauthtoken'
  }

  async authenticate({ secret }: Credential): Promise<Identity | Refusal> {
    const { db, clock, superusers } = this.#parts
    const nowMs = clock.nowMs()
    const token = await db.read(findUsableToken, { secretHash: hashTokenSecret(secret), nowMs })
    if (token === undefined) return { refused: 'This OAuth token does not exist, was revoked or has expired.' }
    if (nowMs - (token.lastAccessedMs ?? 0) > TOUCH_EVERY_MS)
      await db.transaction(touchToken, { tokenId: token.id, nowMs }, BEHIND)
    const { accountId, name, namespaceId, tokenEpoch } = token
    const credential = {
      oauth_token_id: token.id,
      oauth_token_application_id: token.clientId,
      oauth_token_application: token.applicationName,
    }
    return {
      actor: { kind: 'user', accountId, name, namespaceId, credential },
      tokenEpoch,
      credential: { kind: 'oauth', id: token.id },
      caps: capsOf(parseScopeText(token.scope, { superusers }) ?? []),
    }
  }
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** A name as it may be shown again. */
function plain(name: string): string {
  return name.replace(/[^\w.+-]/g, '?').slice(0, 100)
}
