import { createHash } from 'node:crypto'
import type { Reply } from '../platform/reply.ts'
import type { ApiRoute } from './route.ts'

/** Colours have a contrast of at least 4.5 to 1 on what they stand on, in both themes. */
const stylesheet = `
:root {
  color-scheme: light dark;
  --ground: #f3f5f8; --surface: #ffffff; --text: #17202c; --quiet: #4d5a6b; --line: #c5ceda; --field: #7a8799;
  --accent: #0b5cad; --accent-strong: #084a8d; --on-accent: #ffffff; --code: #eef2f7; --wrong: #b3261e; --wrong-ground: #fdecea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151c; --surface: #18202a; --text: #e7ecf3; --quiet: #aab6c5; --line: #33404f; --field: #7f8ea1;
    --accent: #7ab8ff; --accent-strong: #a3ceff; --on-accent: #0a1a2b; --code: #0f151d; --wrong: #ffb4ab; --wrong-ground: #3a1917;
  }
}
* { box-sizing: border-box; }
html { background: var(--ground); font: 100%/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
body { margin: 0; background: var(--ground); color: var(--text); }
header, main { max-width: 44rem; margin: 0 auto; }
header { padding: 1.75rem 2rem 1.25rem; }
main { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem; padding: 1.75rem 2rem 2rem; margin-bottom: 3rem; }
.brand { display: inline-flex; align-items: center; gap: .6rem; font-size: 1.15rem; font-weight: 650; color: var(--text); text-decoration: none; }
.brand svg { fill: var(--accent); color: var(--accent); }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.1rem; margin: 1.75rem 0 .5rem; }
p { margin: 0 0 .75rem; }
a { color: var(--accent); }
code { font-family: ui-monospace, "Liberation Mono", Menlo, Consolas, monospace; font-size: .92em; overflow-wrap: anywhere; }
pre { margin: 0 0 .75rem; padding: .75rem 1rem; background: var(--code); border: 1px solid var(--line); border-radius: .5rem; white-space: pre-wrap; }
.quiet, .hint { color: var(--quiet); }
.note { border-left: .25rem solid var(--accent); padding: .1rem 0 .1rem 1rem; margin: 1.25rem 0; }
.note p:last-child, main > :last-child { margin-bottom: 0; }
form { margin-top: 1.25rem; }
.field { margin-bottom: 1.25rem; }
label { display: block; font-weight: 600; margin-bottom: .2rem; }
label .quiet { font-weight: 400; }
.hint, .error { margin: 0 0 .35rem; font-size: .94rem; }
.error { color: var(--wrong); font-weight: 600; }
input { width: 100%; font: inherit; padding: .55rem .7rem; color: var(--text); background: var(--surface); border: 1px solid var(--field); border-radius: .4rem; }
input[aria-invalid="true"] { border-color: var(--wrong); border-width: 2px; }
button { font: inherit; font-weight: 600; padding: .6rem 1.25rem; color: var(--on-accent); background: var(--accent); border: 0; border-radius: .4rem; cursor: pointer; }
button:hover { background: var(--accent-strong); }
button + button { margin-left: .6rem; }
button + p, form + p { margin: 1rem 0 0; }
button.secondary { color: var(--accent); background: var(--surface); box-shadow: inset 0 0 0 1px var(--field); }
button.secondary:hover { color: var(--accent-strong); background: var(--code); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.summary { padding: .9rem 1.1rem; background: var(--wrong-ground); border: 1px solid var(--wrong); border-radius: .5rem; }
.summary p:first-child { font-weight: 600; }
.summary .after { margin: .5rem 0 0; }
.summary ul { margin: 0; padding-left: 1.2rem; }
.summary a { color: var(--wrong); }
@media (max-width: 40rem) {
  header { padding: 1.25rem 1.85rem 1rem; }
  main { margin: 0 .75rem 2rem; padding: 1.25rem 1.1rem 1.5rem; }
  button { width: 100%; }
  button + button { margin: .6rem 0 0; }
}
`.trim()

/** The path changes with the content, so that browsers may keep it for good. */
export const stylesheetPath = `/static/pages-${createHash('sha256').update(stylesheet).digest('hex').slice(0, 12)}.css`

export const stylesheetRoute: ApiRoute = {
  method: 'GET',
  path: stylesheetPath,
  summary: 'The stylesheet of the server-rendered pages',
  access: 'open',
  reader: 'program',
  async handle(): Promise<Reply> {
    return {
      status: 200,
      headers: {
        'Content-Type': 'text/css; charset=utf-8',
        'Content-Length': Buffer.byteLength(stylesheet),
        'Cache-Control': 'public, max-age=31536000, immutable',
      },
      body: stylesheet,
    }
  },
}
