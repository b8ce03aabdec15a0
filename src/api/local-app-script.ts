import { createHash } from 'node:crypto'
import type { ApiRoute } from './route.ts'

const script = `'use strict'
const token = new URLSearchParams(location.hash.slice(1)).get('access_token')
document.getElementById('token').textContent = token ?? 'There is no token in the address of this page.'
history.replaceState(null, '', location.pathname + location.search)
`

/** The script of the page that shows a token: fragments never reach a server. Named by its content, kept for good. */
export const localAppScript = {
  path: `/oauth/localapp-${createHash('sha256').update(script).digest('hex').slice(0, 12)}.js`,
}

export const localAppScriptRoute: ApiRoute = {
  method: 'GET',
  path: localAppScript.path,
  summary: 'The script of the page that shows a token',
  access: 'open',
  reader: 'program',
  handle: async () => ({
    status: 200,
    headers: {
      'Content-Type': 'text/javascript; charset=utf-8',
      'Content-Length': Buffer.byteLength(script),
      'Cache-Control': 'public, max-age=31536000, immutable',
    },
    body: script,
  }),
}
