import { randomUUID } from 'node:crypto'
import { newSecretText } from '../../src/accounts/robots.ts'
import { sealedClientSecret } from '../../src/api/application.routes.ts'
import type { ApiServices } from '../../src/api/services.ts'
import type { Doing } from '../../src/audit/audit.ts'
import { createApplication } from '../../src/oauth/applications.ts'
import { grantToken, hashTokenSecret, newTokenSecret } from '../../src/oauth/tokens.ts'

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
    texts: { name: 'test', description: '', applicationUri: '', redirectUri: '', avatarEmail: null },
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
    nowMs: input.doing.nowMs,
  })
  return secret
}
