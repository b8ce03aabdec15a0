import { json } from '../platform/reply.ts'
import type { ApiRoute } from './route.ts'

/** GET /keys/services/longshore/keys. The public keys of the tokens that this registry issues: RFC 7517, 5. */
export const signingKeysRoute: ApiRoute = {
  method: 'GET',
  path: '/keys/services/longshore/keys',
  summary: 'The public keys with which tokens of this registry can be verified',
  access: 'open',
  reader: 'program',
  async handle({ services }) {
    // Short, since whoever verifies must hear of a new key before its first token comes.
    return json(200, services.tokens.jwks(), { 'Cache-Control': 'public, max-age=60' })
  },
}
