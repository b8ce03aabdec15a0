import type { Reply } from '../platform/reply.ts'
import { type Html, html } from './html.ts'
import { page } from './page.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'

/** What every page with a form has in common: it works for everybody, also while the registry takes no changes. */
export const onPage = { page: true, internal: true, alwaysOpen: true, worksReadOnly: true, tag: 'web' } as const
export const aPage = { 200: { describe: 'The page' }, 303: { describe: 'Where to go on' } }

export interface FormPage {
  readonly title: string
  readonly action: string
  readonly fields: Html
  readonly button: string
  /** What was wrong with the last attempt. */
  readonly error?: string | undefined
  /** Below the form. */
  readonly more?: Html
}

/** A page with one form, which carries the token of the browser's cookie. */
export function formPage({ callers }: RestContext, caller: RestCaller, options: FormPage): Reply {
  const { token, headers } = callers.csrf(caller)
  const { title, action, error, fields, button, more } = options
  const body = html`<h1>${title}</h1>
${error !== undefined && html`<p class="error" role="alert">${error}</p>`}
<form method="post" action="${action}">
<input type="hidden" name="_csrf_token" value="${token}">
${fields}
<button>${button}</button>
</form>
${more}`
  return page(200, { title, body, headers })
}

/** Proxies and clients take no answer whose headers are much longer than this. */
const MAX_LOCATION = 4_096

/** The page to sign in on, which goes on to this path unless it is too long to be carried along. */
export function loginPath(next: string): string {
  const path = `/login?next=${encodeURIComponent(next)}`
  return path.length > MAX_LOCATION ? '/login' : path
}

/** A path of this registry to go on to; anything else, also what only looks like one, is the start page. */
export function safeNext(next: string | null | undefined): string {
  if (next && next.length > MAX_LOCATION) return '/'
  // One slash and then no second one and no backslash, which browsers take for one; and nothing that a header cannot hold.
  return next && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next) ? next : '/'
}

/** Sends the browser on, so that going back sends no form again. */
export function redirect(path: string, headers: Reply['headers'] = {}): Reply {
  return { status: 303, headers: { Location: path, 'Content-Length': 0, 'Cache-Control': 'no-store', ...headers } }
}

/** For the link of a mail that was used, has expired, or was never one. */
export function deadLinkPage(again: Html): Reply {
  const title = 'This link does not work any more'
  return page(200, { title, body: html`<h1>${title}</h1>\n<p>It was used already or has expired.</p>\n${again}` })
}
