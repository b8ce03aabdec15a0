import { writeFileSync } from 'node:fs'
import { configurationMarkdown } from '../src/platform/config/markdown.ts'
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
]

if (import.meta.main) {
  for (const doc of generatedDocs) {
    writeFileSync(new URL(`../${doc.path}`, import.meta.url), doc.render())
    console.log(`Wrote ${doc.path}`)
  }
}
