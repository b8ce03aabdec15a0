import { v2Routes } from '../../src/registry/edge.ts'
import type { AccessNeed, AnyV2Route } from '../../src/registry/route.ts'
import { wireErrors } from '../../src/registry/wire-errors.ts'

const introduction = `# Protocol

Longshore speaks the OCI distribution specification 1.1 and what clients of Docker registries add to it. Everything below
\`/v2\` is listed here; what is not a route is answered with an error body as well.

Every answer carries \`Docker-Distribution-API-Version: registry/2.0\`, \`X-Content-Type-Options: nosniff\`, a
\`Content-Security-Policy\` under which nothing that was pushed can run in a browser, and \`X-Request-Id\`, which the log
repeats. \`Location\` headers are relative. A repository is named \`namespace/name\`, and the name may have more parts; a
name of one part is in the library namespace where that is switched on.

A credential is a user's name and password (\`Authorization: Basic\`), directly or at \`/v2/auth\`, or a token from there
(\`Authorization: Bearer\`). A token says who asks and what for at most, never what they may do: that is looked up for
every request, so a right that is taken away, a new password and a disabled account count at once for tokens that were
issued before, on other servers of the same registry within seconds.
`

const needs: Readonly<Record<AccessNeed, string>> = {
  open: 'anybody; the route itself decides',
  login: 'any valid credential',
  pull: 'pull',
  push: 'push',
  create: 'push, or to create in the namespace',
  delete: 'push (the scope `delete` is enough)',
}

const answers = `## Who gets which answer

| Caller | Answer |
|---|---|
| no credential, where one is needed | 401 \`UNAUTHORIZED\` with a challenge that names realm, service and scope |
| a wrong password, a token that is not valid, a disabled account | 401 \`UNAUTHORIZED\` with the reason, never the rights of anonymous |
| a valid token that was not issued for this, of somebody who has the right | 401 \`UNAUTHORIZED\`, challenge with \`error="insufficient_scope"\` |
| somebody who may read the repository but not do this | 403 \`DENIED\` |
| somebody who may not read the repository, whether it exists or not | 403 \`DENIED\`, the same to the last byte |
| somebody who may create the repository, which does not exist | 404 \`NAME_UNKNOWN\`; a push creates it |
| anybody, when rights could not be confirmed with the database for 8 seconds | 503 \`UNAVAILABLE\` for writes; reads go on for \`STALE_RIGHTS_MAX\` |
| an address that sends too many requests | 429 \`TOOMANYREQUESTS\` with \`Retry-After\` |

\`/v2/auth\` answers 200 and leaves out what the caller may not do. It creates nothing: the first upload or manifest does.
\`/v2/_catalog\` shows what the caller may read and needs an account, or \`FEATURE_PUBLIC_CATALOG\`; a token needs the scope
\`registry:catalog:*\`.
`

const errorIntroduction = `## Errors

Every refusal has a body \`{"errors": [{"code", "message", "detail"}]}\`. The message is for people and may say more than
the sentence here; programs go by status and code. \`MANIFEST_BLOB_UNKNOWN\` comes with one entry for each missing digest,
and a tag that has ended with a second entry \`TAG_EXPIRED\`. A mistake of ours is 500 \`UNKNOWN\` with the request id.

| Status | Code | Says |
|---|---|---|
`

/** The text of docs/protocol.md: its tables come from the routes and from the answers to refusals. */
export function protocolMarkdown(): string {
  const parameters = v2Routes.filter((route) => Object.keys(route.query ?? {}).length > 0)
  return [
    '<!-- Generated from src/registry/ by "npm run docs". Do not edit: a test compares it. -->',
    introduction,
    '## Routes\n',
    '| Method | Path | Needs | Specified in |',
    '|---|---|---|---|',
    ...v2Routes.map(routeLine),
    '',
    '## Query parameters\n',
    'Parameters that a route does not know are ignored. Of one that is given twice the last counts, but for lists.\n',
    '| Route | Parameter | Means |',
    '|---|---|---|',
    ...parameters.flatMap(parameterLines),
    '',
    answers.trimEnd(),
    '',
    errorIntroduction + errorLines().join('\n'),
    '',
  ].join('\n')
}

function routeLine(route: AnyV2Route): string {
  const missing = route.missing === 'allowed' ? '; answers before the repository exists' : ''
  return `| ${methodsOf(route)} | \`${route.path}\` | ${needs[route.access]}${missing} | ${cell(route.spec)} |`
}

function parameterLines(route: AnyV2Route): string[] {
  return Object.entries(route.query ?? {}).map(
    ([name, { describe }]) => `| ${methodsOf(route)} \`${route.path}\` | \`${name}\` | ${cell(describe)} |`,
  )
}

/** Sorted as a client meets them: by status, then by code. */
function errorLines(): string[] {
  const lines = Object.values(wireErrors).map(({ status, code, text }) => `| ${status} | \`${code}\` | ${cell(text)} |`)
  return [...new Set(lines)].toSorted()
}

function methodsOf(route: AnyV2Route): string {
  return [route.method].flat().join(', ')
}

/** A bar would end the cell, and a name in angle brackets would be taken for HTML. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/<[^>]*>/g, (name) => `\`${name}\``)
}
