import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Seal } from './seal.ts'

const bytes = fc.uint8Array({ maxLength: 300 })
const plain = (opened: Uint8Array | undefined) => opened && [...opened]

describe('a sealed value', () => {
  const seal = new Seal('one secret', 'tests')

  test('opens to what it was, and looks different each time', () => {
    fc.assert(
      fc.property(bytes, fc.string(), (value, context) => {
        const sealed = seal.close(value, context)
        assert.deepEqual(plain(seal.open(sealed, context)), [...value])
        assert.notDeepEqual(sealed, seal.close(value, context))
      }),
      { numRuns: 50 },
    )
  })

  test('does not open under another secret, for another purpose or in another context', () => {
    const sealed = seal.close(Uint8Array.of(1, 2, 3), 'row 1')
    assert.equal(new Seal('another secret', 'tests').open(sealed, 'row 1'), undefined)
    assert.equal(new Seal('one secret', 'others').open(sealed, 'row 1'), undefined)
    assert.equal(seal.open(sealed, 'row 2'), undefined)
    assert.deepEqual(plain(seal.open(sealed, 'row 1')), [1, 2, 3], 'control')
  })

  test('does not open when any of its bytes has changed or is missing', () => {
    const sealed = seal.close(Uint8Array.of(1, 2, 3), '')
    for (let at = 0; at < sealed.byteLength; at++) {
      const changed = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte))
      assert.equal(seal.open(changed, ''), undefined, `byte ${at}`)
      assert.equal(seal.open(sealed.subarray(0, at), ''), undefined, `${at} bytes`)
    }
  })
})
