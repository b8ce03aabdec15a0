import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AuditEvent, METADATA_BYTES, parseSpoolLine, toEventRow, toSpoolLine } from './event.ts'

const event: AuditEvent = {
  kind: 'pull_repo',
  namespaceId: 1,
  actor: { kind: 'user', accountId: 3, name: 'ada' },
  address: '192.0.2.1',
  occurredMs: 1_800_000_000_000.7,
  metadata: { repo: 'acme/api', tag: 'latest', public: true, size: 5, none: null },
}

describe('an event on its way into the database', () => {
  test('comes out of a spool line as it went in', () => {
    const row = toEventRow(event)
    const line = toSpoolLine(row)
    assert.equal(line.indexOf('\n'), line.length - 1)
    assert.deepEqual(parseSpoolLine(line), row)
    assert.equal(row.occurredMs, 1_800_000_000_000)
    assert.deepEqual(JSON.parse(row.metadata), event.metadata)
  })

  test('keeps hostile characters inside its line and out of the text columns', () => {
    const hostile = 'a\n\0\ud800\udc00\ud800\u2028'
    const row = toEventRow({ ...event, actor: { kind: 'user', name: hostile }, metadata: { [hostile]: hostile } })
    assert.equal(row.performer, 'a\n\ufffd\ud800\udc00\ufffd\u2028')
    assert.equal(toSpoolLine(row).split('\n').length, 2)
    assert.deepEqual(parseSpoolLine(toSpoolLine(row)), row)
    assert.deepEqual(JSON.parse(row.metadata), { [hostile]: hostile })
  })

  test('is bounded: the longest strings are cut, short fields beside them stay whole', () => {
    const long = toEventRow({
      ...event,
      metadata: { agent: 'é'.repeat(100_000), tag: 'latest', note: 'x'.repeat(300) },
    })
    assert.ok(Buffer.byteLength(long.metadata) <= METADATA_BYTES)
    const kept = JSON.parse(long.metadata)
    assert.deepEqual([kept.tag, kept.note], ['latest', 'x'.repeat(300)])
    assert.match(kept.agent, /^é{500,}…$/)
    assert.ok(toEventRow({ ...event, actor: { kind: 'user', name: 'n'.repeat(9_999) } }).performer.length <= 512)
  })

  test('is bounded also by dropping fields when there are thousands of them', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`field ${n}`, '\0'.repeat(50)]))
    const { metadata } = toEventRow({ ...event, metadata: many })
    assert.ok(Buffer.byteLength(metadata) <= METADATA_BYTES)
    assert.ok(Object.keys(JSON.parse(metadata)).length > 10)
  })

  test('a line that is torn, damaged or of another form is refused whole', () => {
    const line = toSpoolLine(toEventRow(event)).trimEnd()
    const fields: unknown[] = JSON.parse(line)
    const bad = [
      line.slice(0, -5),
      '',
      'null',
      '{}',
      '[]',
      JSON.stringify([...fields, 1]),
      ...fields.map((_, n) => JSON.stringify(fields.with(n, { wrong: 'type' }))),
      JSON.stringify(fields.with(1, 1.5)),
      JSON.stringify(fields.with(5, 'nul\0')),
      JSON.stringify(fields.with(7, null)),
    ]
    for (const text of bad) assert.equal(parseSpoolLine(text), undefined, text)
  })
})
