import type { Headers, Reply } from '../platform/reply.ts'
import { type Html, html } from './html.ts'
import { stylesheetPath } from './stylesheet.ts'

/**
 * Nothing but our own stylesheet and our own forms: a page that somebody could inject into would still run nothing.
 * `formTargets`: origins that the answer to a form may send the browser to. `scripts`: files of ours may run.
 */
export function contentSecurityPolicy(
  options: { readonly formTargets?: readonly string[]; readonly scripts?: boolean } = {},
): string {
  const forms = ["'self'", ...(options.formTargets ?? [])].join(' ')
  const scripts = options.scripts ? "; script-src 'self'" : ''
  return `default-src 'none'; style-src 'self'${scripts}; form-action ${forms}; frame-ancestors 'none'; base-uri 'none'`
}

export interface Page {
  readonly title: string
  readonly body: Html
  readonly headers?: Headers
}

/** A page for a person: complete without scripts, readable in both themes. Never kept by a cache. */
export function page(status: number, { title, body, headers = {} }: Page): Reply {
  const { text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title === 'Longshore' ? title : `${title} - Longshore`}</title>
<link rel="stylesheet" href="${stylesheetPath}">
</head>
<body>
<header><a class="brand" href="/">${mark}Longshore</a></header>
<main>
${body}
</main>
</body>
</html>
`
  return {
    status,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': Buffer.byteLength(text),
      'Content-Security-Policy': contentSecurityPolicy(),
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
      ...headers,
    },
    body: text,
  }
}

/** Lines for a terminal. They wrap on narrow screens, so that nobody has to scroll sideways by keyboard. */
export function terminalLines(...lines: readonly string[]): Html {
  return html`<pre><code>${lines.join('\n')}</code></pre>`
}

const mark = html`<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
<rect x="5" y="5" width="10" height="7" rx="1"/><rect x="17" y="5" width="10" height="7" rx="1"/>
<rect x="5" y="14" width="22" height="7" rx="1"/>
<path d="M2 27c3.5 0 3.5-2.5 7-2.5s3.5 2.5 7 2.5 3.5-2.5 7-2.5 3.5 2.5 7 2.5" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round"/>
</svg>`
