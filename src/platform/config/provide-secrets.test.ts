import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { defaultConfig } from './load.ts'
import { ConfigError } from './problem.ts'
import { missingSecrets, provideSecrets } from './provide-secrets.ts'
import { Secret } from './secret.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'longshore-secrets-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

function revealed(config: Parameters<typeof provideSecrets>[0]): string[] {
  const { secretKey, databaseSecretKey } = provideSecrets(config)
  return [secretKey.reveal(), databaseSecretKey.reveal()]
}

const postgres = { kind: 'postgres', url: new Secret('postgresql:///x'), namedStatements: true, poolSize: 2 } as const

describe('secrets of an installation', () => {
  test('with SQLite they are made once, differ, and are the same at the next start', (t) => {
    const config = defaultConfig({ dataDir: join(folder(t), 'data') })
    const first = revealed(config)
    assert.match(first.join(' '), /^[0-9a-f]{64} [0-9a-f]{64}$/)
    assert.notEqual(first[0], first[1])
    assert.deepEqual(revealed(config), first)
  })

  test('only the owner may read them, and nothing unfinished is left beside them', (t) => {
    const dataDir = folder(t)
    provideSecrets(defaultConfig({ dataDir }))
    assert.equal(statSync(join(dataDir, 'secrets')).mode & 0o777, 0o700)
    assert.equal(statSync(join(dataDir, 'secrets/secrets.json')).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(join(dataDir, 'secrets')), ['secrets.json'])
  })

  test('a secret that is given wins, and taking it away again finds one that was kept', (t) => {
    const dataDir = folder(t)
    const given = { secretKey: new Secret('given') }
    const [first, kept] = revealed(defaultConfig({ dataDir, secrets: given }))
    assert.equal(first, 'given')
    const later = revealed(defaultConfig({ dataDir }))
    assert.notEqual(later[0], 'given')
    assert.equal(later[1], kept)
  })

  test('when both are given nothing is written', (t) => {
    const dataDir = folder(t)
    const secrets = { secretKey: new Secret('a'), databaseSecretKey: new Secret('b') }
    assert.deepEqual(revealed(defaultConfig({ dataDir, secrets })), ['a', 'b'])
    assert.deepEqual(readdirSync(dataDir), [])
  })

  test('a damaged file is refused, never replaced, and its text is not quoted', (t) => {
    const dataDir = folder(t)
    const config = defaultConfig({ dataDir })
    provideSecrets(config)
    const path = join(dataDir, 'secrets/secrets.json')
    for (const damaged of ['{"SECRET_KEY": "hunter2"', '{"SECRET_KEY": "hunter2"}', 'null', '']) {
      writeFileSync(path, damaged)
      assert.throws(
        () => provideSecrets(config),
        (error) => error instanceof ConfigError && /damaged/.test(error.message) && !/hunter2/.test(error.message),
      )
      assert.equal(readFileSync(path, 'utf8'), damaged)
    }
  })

  test('a data directory that cannot be made is told with its reason', (t) => {
    const file = join(folder(t), 'file')
    writeFileSync(file, '')
    assert.throws(() => provideSecrets(defaultConfig({ dataDir: file })), /secrets\.json: .*ENOTDIR/)
  })

  test('with PostgreSQL a missing one is refused by name, because every process needs the same', (t) => {
    const config = defaultConfig({ dataDir: folder(t), database: postgres, secrets: { secretKey: new Secret('a') } })
    assert.throws(() => provideSecrets(config), /DATABASE_SECRET_KEY: It is not set/)
    assert.deepEqual(
      missingSecrets(config).map((problem) => problem.where),
      ['DATABASE_SECRET_KEY'],
    )
    assert.deepEqual(readdirSync(config.dataDir), [])
  })
})
