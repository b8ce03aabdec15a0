import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { flagOf, type Key, keys, keysByName } from './keys.ts'
import { defaultConfig, loadConfig } from './load.ts'
import { isQuayKey, quayKeys } from './quay-keys.ts'

const src = join(import.meta.dirname, '..', '..')
const definitions = Object.values<Key<unknown>>(keys)

describe('the table of keys', () => {
  test('every key stands under its own name, in upper case', () => {
    for (const [name, key] of Object.entries(keys)) assert.equal(key.name, name)
    for (const name of keysByName.keys()) assert.match(name, /^[A-Z][A-Z0-9_]+$/)
  })

  test('a key is called one of Quay exactly when Quay has it', () => {
    for (const key of definitions) assert.equal(isQuayKey(key.name), key.origin === 'quay', key.name)
  })

  test('every default is a value that the key accepts', () => {
    for (const key of definitions) {
      if (key.fallback === undefined) continue
      const text = typeof key.fallback === 'string' ? key.fallback : undefined
      const value = key.type.read({ value: key.fallback, text }, (message) => assert.fail(`${key.name}: ${message}`))
      assert.notEqual(value, undefined, key.name)
    }
  })

  test('a key without a default says what happens instead', () => {
    const silent = definitions.filter((key) => key.fallback === undefined && key.fallbackNote === undefined)
    assert.deepEqual(silent, [])
  })

  test('every key has a help text that is a sentence', () => {
    for (const key of definitions) assert.match(key.help, /^[A-Z`].+\.$/, key.name)
  })

  test('no two keys share a command line option, and none takes --config', () => {
    const flags = definitions.map(flagOf)
    assert.equal(new Set(flags).size, flags.length)
    assert.ok(!flags.includes('config'))
  })

  test('every key of the table is read when a configuration is built', () => {
    const { sources } = loadConfig({ flags: {}, env: {}, cwd: import.meta.dirname })
    assert.deepEqual(
      sources.map((source) => source.key),
      definitions.map((key) => key.name),
    )
  })

  test('every value of a configuration is used by the code that it configures', () => {
    const sources = globSync('**/*.ts', { cwd: src })
      .filter((path) => !path.startsWith('platform/config/') && !path.endsWith('.test.ts'))
      .map((path) => readFileSync(join(src, path), 'utf8'))
    const unused = Object.entries(defaultConfig()).flatMap(([section, values]) =>
      typeof values === 'object' && values !== null
        ? Object.keys(values)
            .filter((name) => !sources.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
            .map((name) => `${section}.${name}`)
        : [],
    )
    assert.deepEqual(unused, [], 'a key that changes nothing must not be in the table: it is then warned about by name')
  })

  test('no environment variable of the table is meant as the secret file of another key', () => {
    for (const key of definitions) {
      const base = key.name.endsWith('_FILE') ? keysByName.get(key.name.slice(0, -5)) : undefined
      assert.equal(base, undefined, key.name)
    }
  })

  test('the keys of Quay are known by name, also those that a provider brings', () => {
    assert.ok(quayKeys.size > 400)
    assert.ok(isQuayKey('ACME_LOGIN_CONFIG'))
    assert.ok(!isQuayKey('GC_GRACE'))
  })

  test('values are revealed nowhere in the configuration code', () => {
    const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    const revealing = files.filter((name) =>
      readFileSync(`${import.meta.dirname}/${name}`, 'utf8').includes('.reveal('),
    )
    assert.deepEqual(revealing, [])
  })
})
