import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { keys } from '../platform/config/keys.ts'
import { quayKeys } from '../platform/config/quay-keys.ts'
import { configCheck, configExplain, configSchema } from './config.ts'

function inputWith(t: TestContext, text: string) {
  const cwd = mkdtempSync(join(tmpdir(), 'longshore-cli-config-'))
  t.after(() => rmSync(cwd, { recursive: true }))
  writeFileSync(join(cwd, 'config.yaml'), text)
  return { cwd, env: {}, flags: {} }
}

describe('config check', () => {
  test('a good file passes and its warnings are shown', (t) => {
    const { text, exitCode } = configCheck(inputWith(t, 'GC_GRACE: 2h\nFEATURE_PROXY_CACHE: true\n'))
    assert.equal(exitCode, 0)
    assert.match(
      text,
      /^warning: config\.yaml:2:1: FEATURE_PROXY_CACHE .*\nThe configuration can be used \(1 warning\)\.\n$/,
    )
  })

  test('a bad file fails with its problems and also shows warnings', (t) => {
    const { text, exitCode } = configCheck(inputWith(t, 'GC_GRACE: 2\nFEATURE_PROXY_CACHE: true\n'))
    assert.equal(exitCode, 1)
    assert.match(text, /warning: config\.yaml:2:1/)
    assert.match(text, /error: config\.yaml:1:11: GC_GRACE: 2 is not a duration/)
    assert.match(text, /cannot be used: 1 error, 1 warning/)
  })

  test('secrets that PostgreSQL would miss at the start are found beforehand', (t) => {
    const { text, exitCode } = configCheck(inputWith(t, 'DB_URI: postgresql://u:hunter2@db/quay\n'), 'json')
    assert.equal(exitCode, 1)
    const { ok, problems } = JSON.parse(text)
    assert.equal(ok, false)
    assert.deepEqual(
      problems.map((problem: { where: string }) => problem.where),
      ['SECRET_KEY', 'DATABASE_SECRET_KEY'],
    )
    assert.doesNotMatch(text, /hunter2/)
  })
})

describe('config explain', () => {
  test('each key stands in a line with value, source and meaning', (t) => {
    const { text, exitCode } = configExplain(inputWith(t, 'GC_GRACE: 2h\nSECRET_KEY: hunter2\n'))
    assert.equal(exitCode, 0)
    assert.match(text, /^GC_GRACE +2h +file \(config\.yaml:1:11\) +How long/m)
    assert.match(text, /^GC_QUARANTINE +15m +default +How long/m)
    assert.match(text, /^SECRET_KEY +\*\*\* +file/m)
    assert.equal(text.trim().split('\n').length, Object.keys(keys).length + 1)
    assert.doesNotMatch(text, /hunter2/)
  })

  test('as JSON it holds the same for programs, and one key can be asked for', (t) => {
    const { text } = configExplain(inputWith(t, 'TAG_EXPIRATION_OPTIONS: [1d, 2w]\n'), 'json', 'tag-expiration-options')
    const [entry, ...others] = JSON.parse(text)
    assert.deepEqual([entry.value, entry.source, others], [['1d', '2w'], 'file', []])
  })

  test('an unknown key and a bad file are failures with an advice', (t) => {
    const unknown = configExplain(inputWith(t, ''), 'table', 'GC_GRACEE')
    assert.equal(unknown.exitCode, 1)
    assert.match(unknown.text, /Did you mean GC_GRACE\?/)
    assert.equal(configExplain(inputWith(t, 'GC_GRACE: 2\n'), 'json').exitCode, 1)
  })
})

describe('config schema', () => {
  test('the schema knows every key, and no other is allowed', () => {
    const { text, exitCode } = configSchema()
    const schema = JSON.parse(text)
    assert.equal(exitCode, 0)
    assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
    assert.equal(schema.additionalProperties, false)
    const names = new Set(Object.keys(schema.properties))
    assert.deepEqual(names, new Set([...Object.keys(keys), ...quayKeys]))
    assert.equal(schema.properties.MAXIMUM_LAYER_SIZE.default, '20G')
    assert.equal(schema.properties.FEATURE_PROXY_CACHE.deprecated, true)
  })
})
