import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { databaseUri, parseDatabaseUri } from './database-uri.ts'

function parse(text: string) {
  const uri = parseDatabaseUri(text)
  assert.ok(typeof uri !== 'string', `${text} was refused: ${String(uri)}`)
  return uri
}

describe('database URIs', () => {
  test('three slashes are a relative file of SQLite, four an absolute one', () => {
    assert.deepEqual(parse('sqlite:///longshore.db'), { kind: 'sqlite', path: 'longshore.db' })
    assert.deepEqual(parse('sqlite:////var/lib/longshore.db'), { kind: 'sqlite', path: '/var/lib/longshore.db' })
  })

  test('every way to write PostgreSQL leads to a URL that the driver understands', () => {
    for (const scheme of ['postgresql', 'postgres', 'postgresql+psycopg2']) {
      const uri = parse(`${scheme}://quay:p%40ss@db.internal:5433/quay?sslmode=require`)
      assert.ok(uri.kind === 'postgres')
      assert.equal(uri.url.reveal(), 'postgresql://quay:p%40ss@db.internal:5433/quay?sslmode=require')
      assert.equal(databaseUri.redact?.(uri), 'postgresql://***@db.internal:5433/quay')
    }
  })

  test('a socket directory is accepted with and without an account', () => {
    for (const text of ['postgresql:///quay?host=/run/pg', 'postgresql://quay@/quay?host=/run/pg']) {
      const uri = parse(text)
      assert.ok(uri.kind === 'postgres')
      assert.equal(uri.url.reveal(), text)
    }
  })

  test('MySQL and MariaDB are refused with the reason and what to write instead', () => {
    for (const text of ['mysql://a/b', 'mysql+pymysql://root:hunter2@db/quay', 'mariadb://a/b']) {
      assert.match(String(parseDatabaseUri(text)), /MySQL and MariaDB are not supported.*postgresql:\/\//s)
    }
  })

  test('a refused URI is never quoted, since it may hold a password', () => {
    const texts = [
      'oracle://u:hunter2@db/x',
      'hunter2',
      'postgresql://u:hunter2@db',
      'postgresql://u:hunter2#@db/x',
      'postgresql://u:1/hunter2@db/x',
      'postgresql://u:hunter2/@db/x',
      'postgresql://u:x@/hunter2@db/x',
      'sqlite:///a.db?key=hunter2',
      'sqlite://hunter2',
    ]
    for (const text of texts) {
      const refusal = parseDatabaseUri(text)
      assert.equal(typeof refusal, 'string', text)
      assert.doesNotMatch(String(refusal), /hunter2/)
    }
  })

  test('a database in memory is refused because it would lose everything at a restart', () => {
    for (const text of ['sqlite://', 'sqlite:///', 'sqlite:///:memory:']) {
      assert.match(String(parseDatabaseUri(text)), /next start/)
    }
  })
})
