import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { refuse } from '../platform/errors.ts'
import type { Reply } from '../platform/reply.ts'
import type { ApiRoute } from './route.ts'

const BASE = '/api/explorer'

/** Swagger UI with our document, as its own page: calls go with the session of the browser and the token of its cookie. */
const start = `const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()
window.addEventListener('load', () => {
  SwaggerUIBundle({
    url: '/api/v1/openapi.json',
    dom_id: '#explorer',
    deepLinking: true,
    docExpansion: 'none',
    filter: true,
    requestInterceptor: async (request) => {
      const ours = { 'X-Requested-With': 'XMLHttpRequest' }
      Object.assign(request.headers, ours)
      const method = request.method ?? 'GET'
      if (method !== 'GET' && request.headers.Authorization === undefined) {
        const answer = await fetch('/csrf_token', { credentials: 'same-origin', headers: ours })
        request.headers['X-CSRF-Token'] = (await answer.json()).csrf_token
      }
      return request
    },
  })
})
`

/** Scripts and styles of ours only. Swagger UI writes styles into its elements and draws icons from its own text. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

interface Asset {
  readonly contentType: string
  readonly load: () => Promise<Uint8Array>
}

function fromPackage(name: string, contentType: string): Asset {
  const load = () =>
    readFile(join(dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json')), name))
  return { contentType, load }
}

const assets: Readonly<Record<string, Asset>> = {
  'swagger-ui.css': fromPackage('swagger-ui.css', 'text/css; charset=utf-8'),
  'swagger-ui-bundle.js': fromPackage('swagger-ui-bundle.js', 'text/javascript; charset=utf-8'),
  'start.js': { contentType: 'text/javascript; charset=utf-8', load: async () => Buffer.from(start) },
}

const pageText = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API - Longshore</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${BASE}/swagger-ui.css">
<script src="${BASE}/swagger-ui-bundle.js"></script>
<script src="${BASE}/start.js"></script>
</head>
<body>
<main id="explorer"></main>
<noscript><p>The explorer needs scripts. The document itself is at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p></noscript>
</body>
</html>
`

/** GET /api/explorer. The API to be read and tried out; nothing of it comes from another host. */
const explorerPage: ApiRoute = {
  method: 'GET',
  path: BASE,
  summary: 'The API to be read and tried out',
  access: 'open',
  reader: 'person',
  handle: async () => ({
    status: 200,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': Buffer.byteLength(pageText),
      'Content-Security-Policy': POLICY,
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
    },
    body: pageText,
  }),
}

function assetRoute(name: string, asset: Asset): ApiRoute {
  return {
    method: 'GET',
    path: `${BASE}/${name}`,
    summary: 'A part of the explorer',
    access: 'open',
    reader: 'program',
    handle: (_context, { request }) => serve(asset, request.headers['if-none-match']),
  }
}

async function serve({ contentType, load }: Asset, known: string | undefined): Promise<Reply> {
  const body = await load().catch((error: unknown) => {
    throw refuse('UNAVAILABLE', {}, 'The explorer is not installed: run npm install where the registry lives.', error)
  })
  const ETag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  const headers = { 'Content-Type': contentType, 'Cache-Control': 'no-cache', ETag }
  if (known === ETag) return { status: 304, headers }
  return { status: 200, headers: { ...headers, 'Content-Length': body.length }, body }
}

export const explorerRoutes: readonly ApiRoute[] = [
  explorerPage,
  ...Object.entries(assets).map(([name, asset]) => assetRoute(name, asset)),
]
