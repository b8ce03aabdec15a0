import { randomUUID } from 'node:crypto'
import { newSecretText } from '../../src/accounts/robots.ts'
import { sealedClientSecret } from '../../src/api/application.routes.ts'
import type { ApiServices } from '../../src/api/services.ts'
import type { Doing } from '../../src/audit/audit.ts'
import { createApplication } from '../../src/oauth/applications.ts'
import { grantToken, hashTokenSecret, newTokenSecret } from '../../src/oauth/tokens.ts'
import type { Answer } from './client.ts'
import type { RestClient } from './rest-client.ts'

/** A token that this account has granted to an application of its own namespace, without the pages in between. */
export async function issueTestToken(
  services: Pick<ApiServices, 'db' | 'databaseSecretKey'>,
  input: { accountId: number; namespaceId: number; scope: string; doing: Doing },
): Promise<string> {
  const clientId = newSecretText(20)
  const application = await services.db.transaction(createApplication, {
    namespaceId: input.namespaceId,
    clientId,
    secretSealed: sealedClientSecret(services, clientId),
    texts: { name: 'test' },
    doing: input.doing,
  })
  const secret = newTokenSecret()
  await services.db.transaction(grantToken, {
    uuid: randomUUID(),
    applicationId: application.id,
    accountId: input.accountId,
    secretHash: hashTokenSecret(secret),
    scope: input.scope,
    expiresMs: input.doing.nowMs + 3_600_000,
    doing: input.doing,
  })
  return secret
}

type Fields = Readonly<Record<string, string>>

export const queryText = (fields: Fields): string => new URLSearchParams(fields).toString()

/** Sends a form, as a page does. */
export function sendForm(client: RestClient, path: string, fields: Fields, headers: Fields = {}): Promise<Answer> {
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return client.send('POST', path, { body: queryText(fields), headers: { ...type, ...headers } })
}

/** Agrees on the consent page, with the token of the browser's cookie. */
export async function authorise(browser: RestClient, asked: Fields): Promise<Answer> {
  return sendForm(browser, '/oauth/authorizeapp', { ...asked, _csrf_token: await browser.fetchCsrf() })
}

/** The access token in the fragment of where a browser was sent. */
export function tokenIn({ headers }: Answer): string {
  return new URLSearchParams(new URL(headers.location ?? '').hash.slice(1)).get('access_token') ?? ''
}

/** The code in the address where a browser was sent. */
export function codeIn({ headers }: Answer): string {
  return new URL(headers.location ?? '').searchParams.get('code') ?? ''
}
