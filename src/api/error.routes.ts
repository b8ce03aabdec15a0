import { Type } from '../platform/schema.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal, type ProblemTitle, problemStatuses } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'

const descriptions: Readonly<Record<ProblemTitle, string>> = {
  invalid_request: 'The request could not be understood: a parameter or member is missing, or not what it must be.',
  invalid_response: 'Another service gave an answer that makes no sense.',
  invalid_token: 'The call needs somebody who has signed in, and the credential that came with it is not valid.',
  expired_token: 'The credential that came with the call has expired.',
  fresh_login_required: 'The call is sensitive, and the password was given too long ago: give it again.',
  exceeds_license: 'The call would need more than this installation allows.',
  insufficient_scope: 'The caller, or the credential that they use, may not do this.',
  not_found: 'There is no such thing.',
  tag_immutable: 'The tag is protected from changes.',
  external_service_timeout: 'Another service did not answer in time.',
  downstream_issue: 'Another service that is needed for this fails.',
}

/** GET /api/v1/error/{error_type}. What the title of a refusal means, at the address that its `type` gives. */
const getErrorDescription = restRoute({
  method: 'GET',
  path: '/api/v1/error/{error_type}',
  operationId: 'getErrorDescription',
  tag: 'error',
  summary: 'What the title of a refusal means',
  access: { kind: 'anyone' },
  answers: {
    200: {
      describe: 'The meaning of the title',
      schema: Type.Object({ title: Type.String(), description: Type.String(), type: Type.String() }),
    },
  },
  async handle({ services }, { params }) {
    const title = params['error_type'] ?? ''
    if (!Object.hasOwn(problemStatuses, title)) throw messageRefusal(404, 'There is no such kind of error.')
    const type = `${services.config.server.urlScheme}://${services.hostname()}/api/v1/error/${title}`
    return answer(200, { title, description: descriptions[title as ProblemTitle], type })
  },
})

export const errorRoutes = [getErrorDescription]
