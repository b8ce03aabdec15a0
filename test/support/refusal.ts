import assert from 'node:assert/strict'
import type { Answer } from './client.ts'

/** Asserts status and first code of a refusal, and that a person who sees its body in a terminal is helped by it. */
export function assertRefusal(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.code], [status, code], answer.text())
  assert.match(answer.headers['content-type'] ?? '', /^application\/json\b/)
  assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
  for (const error of answer.json().errors) {
    assert.match(error.code, /^[A-Z][A-Z_]+$/)
    assert.match(error.message, /^[A-Z"'a-z].*\s.*\s.*\S/, 'The message must be a sentence')
    assert.notEqual(error.detail, undefined)
  }
}
