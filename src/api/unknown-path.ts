import type { Exchange } from '../platform/exchange.ts'
import { type Headers, json, type Reply } from '../platform/reply.ts'
import { html } from './html.ts'
import { page } from './page.ts'
import { problemReply } from './rest-errors.ts'
import type { ApiRoute } from './route.ts'
import type { ApiServices } from './services.ts'

/** What no route answers: problem JSON below /api, a page for browsers, a line for everybody else. */
export function unknownPathReply(services: ApiServices, exchange: Exchange, routes: readonly ApiRoute[]): Reply {
  const { method, headers } = exchange.request
  const path = (exchange.request.url ?? '/').split('?', 1)[0] ?? '/'
  const known = routes.filter((route) => route.path === path && (route.isOn?.(services.config) ?? true))
  const methods: readonly string[] = known.map((route) => route.method)
  const allow = methods.includes('GET') ? [...methods, 'HEAD'] : methods
  const isApi = path === '/api' || path.startsWith('/api/')
  if (isApi && methods.length === 0) return problemReply(services, 'not_found', 'Not Found')
  const { status, title, sentence, more } =
    methods.length === 0
      ? { status: 404, title: 'Nothing here', sentence: 'This registry has nothing at this address.', more: {} }
      : {
          status: 405,
          title: 'Not like this',
          sentence: `This address does not take ${method ?? ''} requests, but ${allow.join(', ')}.`,
          more: { Allow: allow.join(', ') },
        }
  if (isApi) return json(status, { message: sentence }, more)
  return /\btext\/html\b/.test(headers.accept ?? '')
    ? unknownPage(status, title, sentence, more)
    : line(status, sentence, more)
}

function unknownPage(status: number, title: string, sentence: string, headers: Headers): Reply {
  const body = html`<h1>${title}</h1>
<p>${sentence}</p>
<p>The <a href="/">start page</a> says how to sign in and push. Images are read with a client such as docker, not with a
browser.</p>`
  return page(status, { title, body, headers })
}

function line(status: number, sentence: string, headers: Headers): Reply {
  const body = `${sentence}\n`
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body), ...headers },
    body,
  }
}
