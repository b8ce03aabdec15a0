import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { readBody } from './body.ts'

/** A request whose body is written by the test. */
function aRequest(headers: Record<string, string> = {}): PassThrough & { headers: Record<string, string> } {
  return Object.assign(new PassThrough(), { headers })
}

function read(request: PassThrough, limitBytes: number) {
  return readBody(request as unknown as IncomingMessage, {} as ServerResponse, limitBytes, 1_000)
}

describe('reading a small body', () => {
  test('it comes together whole, however it is cut, also beyond the first buffer', async () => {
    const whole = Uint8Array.from({ length: 100_003 }, (_, at) => at % 251)
    for (const step of [1, 7, 16 * 1024, whole.length]) {
      const request = aRequest()
      const reading = read(request, whole.length)
      for (let at = 0; at < whole.length; at += step) request.write(whole.subarray(at, at + step))
      request.end()
      const result = await reading
      assert.ok(result.outcome === 'complete')
      assert.deepEqual(Buffer.from(result.bytes), Buffer.from(whole), `in pieces of ${step}`)
    }
  })

  test('an empty body is complete', async () => {
    const request = aRequest()
    const reading = read(request, 10)
    request.end()
    assert.deepEqual(await reading, { outcome: 'complete', bytes: new Uint8Array() })
  })

  test('one byte too many is refused, at once when the length was declared', async () => {
    const request = aRequest()
    const reading = read(request, 10)
    request.write(Buffer.alloc(11))
    assert.equal((await reading).outcome, 'too-large')
    assert.equal((await read(aRequest({ 'content-length': '11' }), 10)).outcome, 'too-large')
  })
})
