import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseContentRange, parseRange } from './range.ts'

const whole = { kind: 'whole' }
const unsatisfiable = { kind: 'unsatisfiable' }
const part = (start: number, end: number) => ({ kind: 'part', start, end })
const size = fc.integer({ min: 0, max: 2 ** 40 })

describe('ranges of a download', () => {
  test('one range of bytes is a part, cut to what there is', () => {
    assert.deepEqual(parseRange('bytes=0-9', 100), part(0, 9))
    assert.deepEqual(parseRange('bytes=90-', 100), part(90, 99))
    assert.deepEqual(parseRange('bytes=99-99', 100), part(99, 99))
    assert.deepEqual(parseRange('bytes=50-1000', 100), part(50, 99))
    assert.deepEqual(parseRange('Bytes=0-0', 100), part(0, 0))
    assert.deepEqual(parseRange(' bytes=00-0009 ', 100), part(0, 9))
  })

  test('a suffix range is the end, or all if there is less', () => {
    assert.deepEqual(parseRange('bytes=-10', 100), part(90, 99))
    assert.deepEqual(parseRange('bytes=-1000', 100), part(0, 99))
    assert.deepEqual(parseRange('bytes=-0', 100), unsatisfiable)
    assert.deepEqual(parseRange('bytes=-5', 0), whole)
  })

  test('a range that begins behind the end cannot be satisfied', () => {
    for (const header of ['bytes=100-', 'bytes=100-200', 'bytes=9007199254740993-']) {
      assert.deepEqual(parseRange(header, 100), unsatisfiable, header)
    }
    assert.deepEqual(parseRange('bytes=0-', 0), unsatisfiable)
  })

  test('numbers of any length are ordinary numbers', () => {
    const huge = '9'.repeat(5000)
    assert.deepEqual(parseRange(`bytes=0-${huge}`, 100), part(0, 99))
    assert.deepEqual(parseRange(`bytes=-${huge}`, 100), part(0, 99))
    assert.deepEqual(parseRange(`bytes=${huge}-`, 100), unsatisfiable)
    assert.deepEqual(parseRange(`bytes=${huge}-${huge}`, 100), unsatisfiable)
  })

  test('whatever is not exactly one range of bytes asks for the whole', () => {
    const headers = [
      '',
      'bytes',
      'bytes=',
      'bytes=-',
      'bytes=9-0',
      'bytes=a-b',
      'bytes=0x0-9',
      'bytes=0-9,20-29',
      'items=0-9',
    ]
    headers.push(
      'bytes=--1',
      'bytes=-1-2',
      'bytes=1e1-2e1',
      'bytes=0 - 9',
      'bytes 0-9',
      '0-9',
      'bytes=+0-9',
      'bytes=٣-٤',
    )
    headers.push(`bytes=${'0-,'.repeat(10_000)}0-`)
    for (const header of [...headers, undefined])
      assert.deepEqual(parseRange(header, 100), whole, header?.slice(0, 40) ?? 'absent')
  })

  test('no header makes a part that is empty or leaves the content', () => {
    const number = fc.oneof(fc.constant(''), fc.nat().map(String), fc.bigInt({ min: 0n, max: 2n ** 80n }).map(String))
    const header = fc.oneof(
      fc.string(),
      fc.tuple(number, number).map(([first, last]) => `bytes=${first}-${last}`),
    )
    fc.assert(
      fc.property(header, size, (text, sizeBytes) => {
        const range = parseRange(text, sizeBytes)
        if (range.kind !== 'part') return
        assert.ok(range.start >= 0 && range.start <= range.end && range.end < sizeBytes)
        assert.ok(Number.isSafeInteger(range.start) && Number.isSafeInteger(range.end))
      }),
    )
  })
})

describe('ranges of an upload', () => {
  test('a chunk is two positions, both included', () => {
    assert.deepEqual(parseContentRange('0-99'), { start: 0, end: 99 })
    assert.deepEqual(parseContentRange('100-100'), { start: 100, end: 100 })
  })

  test('any other form is refused', () => {
    const bad = [
      '',
      '-',
      '0-',
      '-9',
      '9-0',
      'a-b',
      'bytes 0-9',
      'bytes=0-9',
      '0-9/10',
      '-1-5',
      '0--5',
      '+0-9',
      '0-9,10-19',
    ]
    bad.push(' 0-9', '0-9 ', '0-9\n', '0 - 9', '1e1-2e1', '0x0-0x9', '0.0-9.0', '٣-٤', `0-${'9'.repeat(5000)}`)
    for (const header of bad) assert.equal(parseContentRange(header), undefined, header.slice(0, 40))
  })

  test('positions that cannot be counted exactly are refused', () => {
    assert.deepEqual(parseContentRange('0-9007199254740990'), { start: 0, end: 9007199254740990 })
    for (const end of ['9007199254740991', '9007199254740993', '9999999999999999', '18446744073709551615']) {
      assert.equal(parseContentRange(`0-${end}`), undefined, end)
    }
  })

  test('every pair in order is read back exactly', () => {
    fc.assert(
      fc.property(size, fc.nat(), (start, more) => {
        assert.deepEqual(parseContentRange(`${start}-${start + more}`), { start, end: start + more })
      }),
    )
  })
})
