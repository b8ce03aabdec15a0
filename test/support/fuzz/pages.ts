import { openApiDocument } from '../../../src/api/openapi.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import type { Answer } from '../client.ts'
import { type Operation, operationsOf } from './document.ts'
import { hostileTexts } from './strings.ts'

/** The fields of each form. */
const forms: Readonly<Record<string, readonly string[]>> = {
  loginByPage: ['username', 'password', 'next'],
  confirmByPage: ['code'],
  recoverByPage: ['code', 'email', 'password'],
  answerInvite: ['code', 'answer'],
  authorize_application: ['client_id', 'redirect_uri', 'scope', 'response_type', 'state', 'code_challenge'],
  deny_application: ['client_id', 'redirect_uri', 'scope', 'response_type', 'state'],
  exchange_code_for_token: [
    'grant_type',
    'client_id',
    'client_secret',
    'redirect_uri',
    'code',
    'scope',
    'code_verifier',
  ],
  assign_user_to_app: ['client_id', 'redirect_uri', 'scope', 'username', 'format'],
}
/** Where a form of an application may send a browser, beside places of our own. */
export const REDIRECT_URI = 'https://app.example.test/done'

const markup = hostileTexts.filter((text) => text.includes('<'))

/** The pages for people and the calls beside them, which no document tells clients of. */
export function pageOperations(): Operation[] {
  const routes = restRoutes.filter(({ path }) => !path.startsWith('/api/v1'))
  return operationsOf(openApiDocument({ title: 'Pages', version: '0', routes })).map((operation) => {
    const route = routes.find(({ operationId }) => operationId === operation.id)
    const form = route?.form === true ? forms[operation.id] : undefined
    if (route?.form === true && form === undefined) throw new Error(`Which fields has the form of ${operation.id}?`)
    return { ...operation, ...(form !== undefined && { form }), page: route?.page === true }
  })
}

/** What is wrong with a page, or with where it sends a browser. */
export function judgePage(answer: Answer, base: string): string[] {
  const wrong: string[] = []
  const { location } = answer.headers
  if (
    location !== undefined &&
    !/^\/(?!\/|\\)/.test(location) &&
    ![REDIRECT_URI, `${base}/`].some((own) => location.startsWith(own))
  )
    wrong.push('It sends the browser to a place that nobody has agreed on')
  // Some calls answer with a page that has nothing in it, as clients of Quay expect.
  if (!/^text\/html\b/.test(answer.headers['content-type'] ?? '') || answer.body.length === 0) return wrong
  const policy = String(answer.headers['content-security-policy'])
  if (!policy.startsWith("default-src 'none'")) wrong.push('A page may run anything')
  const text = answer.text()
  if (markup.some((one) => text.includes(one))) wrong.push('A page has markup of the client in it')
  return wrong
}
