import { writeFileSync } from 'node:fs'
import { documentedRoutes, openApiDocument } from '../src/api/openapi.ts'
import { restRoutes } from '../src/api/rest-routes.ts'
import { configurationMarkdown } from '../src/platform/config/markdown.ts'
import { version } from '../src/platform/version.ts'
import { protocolMarkdown } from './docs/protocol.ts'

/** A document in the repository whose text follows from the code. `path` starts at the root of the repository. */
interface GeneratedDoc {
  readonly path: string
  readonly render: () => string
}

/** Every generated document. `test/docs.test.ts` fails when one of them is not what its `render` returns. */
export const generatedDocs: readonly GeneratedDoc[] = [
  { path: 'docs/configuration.md', render: configurationMarkdown },
  { path: 'docs/protocol.md', render: protocolMarkdown },
  { path: 'docs/openapi.json', render: openApiJson },
]

/** Everything that the API can be asked for, whatever an installation switches off. */
function openApiJson(): string {
  const routes = documentedRoutes(restRoutes, { internal: true, superuser: true })
  const document = openApiDocument({ title: 'Longshore', version: version(), routes })
  const generated = { 'x-generated': 'by npm run docs from the routes in src/api' }
  const text = JSON.stringify({ ...generated, ...document }, undefined, 2)
  // A first line that says so, as every generated document has.
  return `${text.replace(/^\{\s+/, '{ ')}\n`
}

if (import.meta.main) {
  for (const doc of generatedDocs) {
    writeFileSync(new URL(`../${doc.path}`, import.meta.url), doc.render())
    console.log(`Wrote ${doc.path}`)
  }
}
