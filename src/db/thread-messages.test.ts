import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRefusal, refuse } from '../platform/errors.ts'
import { fromPlainError, toPlainError } from './thread-messages.ts'

/** As the other thread gets it. */
function crossed(error: unknown): Error {
  return fromPlainError(structuredClone(toPlainError(error)), 'Error: asked here\n    at the request')
}

describe('an error that crosses between threads', () => {
  test('keeps all of its causes, each with its stack', () => {
    const inner = new TypeError('the page is not there')
    const error = crossed(new Error('outer', { cause: new Error('middle', { cause: inner }) }))
    assert.ok(error.cause instanceof Error && error.cause.cause instanceof Error)
    assert.deepEqual(
      [error.message, error.cause.message, error.cause.cause.message],
      ['outer', 'middle', inner.message],
    )
    assert.equal(error.cause.cause.stack, inner.stack)
  })

  test('says who asked, once', () => {
    const error = crossed(new Error('outer', { cause: new Error('inner') }))
    assert.match(error.stack ?? '', /^Error: outer\n.*\nError: asked here\n {4}at the request$/s)
    assert.ok(error.cause instanceof Error)
    assert.doesNotMatch(error.cause.stack ?? '', /asked here/)
  })

  test('is the same refusal as before, with what failed behind it', () => {
    const behind = new Error('database disk image is malformed')
    const error = crossed(refuse('UNAVAILABLE', { retryAfterSeconds: 5 }, undefined, behind))
    assert.ok(isRefusal(error, 'UNAVAILABLE'))
    assert.deepEqual(error.detail, { retryAfterSeconds: 5 })
    assert.ok(error.cause instanceof Error)
    assert.equal(error.cause.stack, behind.stack)
  })

  test('has no cause that it did not have', () => {
    assert.equal('cause' in crossed(new Error('alone')), false)
  })

  test('keeps a cause that is no error as its text, and comes across even if it is its own cause', () => {
    const odd = crossed(new Error('outer', { cause: () => 'cannot be cloned' }))
    assert.ok(odd.cause instanceof Error)
    assert.match(odd.cause.message, /cannot be cloned/)
    const circle = new Error('circle')
    circle.cause = circle
    assert.equal(crossed(circle).message, 'circle')
  })
})
