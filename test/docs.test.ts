import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { generatedDocs } from '../scripts/write-docs.ts'

describe('generated documents', () => {
  for (const doc of generatedDocs) {
    test(`${doc.path} says what the code says; "npm run docs" brings it up to date`, () => {
      const written = readFileSync(new URL(`../${doc.path}`, import.meta.url), 'utf8')
      assert.equal(written, doc.render(), `${doc.path} is stale: run "npm run docs" and commit the result`)
    })

    test(`${doc.path} says on its first line that it is generated`, () => {
      assert.match(doc.render().split('\n')[0] ?? '', /[Gg]enerated/)
    })
  }
})
