import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { defaultConfig, loadConfig } from './load.ts'
import { ConfigError } from './problem.ts'
import { Secret } from './secret.ts'

function folder(t: TestContext, files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'longshore-config-'))
  t.after(() => rmSync(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return path
}

function load(cwd: string, more: { env?: NodeJS.ProcessEnv; flags?: Record<string, string>; file?: string } = {}) {
  return loadConfig({ cwd, env: {}, flags: {}, ...more })
}

/** The problems of a configuration that must be refused, one line each. */
function refusal(cwd: string, more: Parameters<typeof load>[1] = {}): string {
  try {
    load(cwd, more)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.message
  }
  return assert.fail('the configuration was accepted')
}

describe('loading the configuration', () => {
  test('without any configuration everything has its default', (t) => {
    const cwd = folder(t)
    const { config, warnings, sources } = load(cwd)
    assert.deepEqual(warnings, [])
    assert.deepEqual(config.server, {
      listenHost: 'localhost',
      listenPort: 8080,
      hostname: 'localhost:8080',
      urlScheme: 'http',
      tls: undefined,
      trustedProxies: [],
      metricsListen: { host: '127.0.0.1', port: 9091 },
      drainMs: 30_000,
      headersTimeoutMs: 10_000,
      bodyIdleTimeoutMs: 60_000,
      readOnly: false,
    })
    assert.equal(config.dataDir, join(cwd, 'data'))
    assert.deepEqual(config.database, { kind: 'sqlite', path: join(cwd, 'data/longshore.db') })
    assert.deepEqual(config.storage, {
      locations: { default: { engine: 'LocalStorage', path: join(cwd, 'data/storage') } },
      preference: ['default'],
    })
    assert.equal(config.registry.maximumLayerSizeBytes, 20 * 1024 ** 3)
    assert.equal(config.registry.strictPullLogging, false)
    assert.deepEqual(config.gc, { enabled: true, graceMs: 3_600_000, quarantineMs: 900_000, intervalMs: 30_000 })
    assert.ok(sources.every((source) => source.source === 'default'))
  })

  test('an option wins over the environment, the environment over the file, the file over the default', (t) => {
    const cwd = folder(t, { 'config.yaml': 'GC_GRACE: 2h\nLOG_LEVEL: warn\nTOKEN_LIFETIME: 10m\n' })
    const env = { LONGSHORE_LOG_LEVEL: 'error', LONGSHORE_TOKEN_LIFETIME: '20m' }
    const { config, sources } = load(cwd, { env, flags: { 'token-lifetime': '30m' } })
    assert.equal(config.gc.graceMs, 7_200_000)
    assert.equal(config.log.level, 'error')
    assert.equal(config.tokens.lifetimeMs, 1_800_000)
    const places = ['GC_GRACE', 'LOG_LEVEL', 'TOKEN_LIFETIME', 'GC_QUARANTINE'].map((key) => {
      const source = sources.find((candidate) => candidate.key === key)
      return [source?.source, source?.where, source?.shown]
    })
    assert.deepEqual(places, [
      ['file', 'config.yaml:1:11', '2h'],
      ['environment', 'LONGSHORE_LOG_LEVEL', 'error'],
      ['flag', '--token-lifetime', '30m'],
      ['default', undefined, '15m'],
    ])
  })

  test('a file that was named must exist, while config.yaml is taken only when it is there', (t) => {
    const cwd = folder(t)
    assert.match(refusal(cwd, { file: 'other.yaml' }), /other\.yaml: There is no such file/)
    assert.equal(load(cwd).file, undefined)
    writeFileSync(join(cwd, 'config.yaml'), 'GC_GRACE: 3h\n')
    assert.equal(load(cwd).config.gc.graceMs, 10_800_000)
  })

  test('every problem is told at once, in reading order, with line and column', (t) => {
    const cwd = folder(t, { 'config.yaml': 'GC_GRACE: 5x\nSUPER_USERS: [a, 12]\nDB_POOL_SIZE: 0\nGC_GRACEE: 1h\n' })
    const lines = refusal(cwd, { env: { LONGSHORE_LOG_FORMAT: 'xml' } }).split('\n')
    assert.match(lines[0] ?? '', /5 problems/)
    assert.match(lines[1] ?? '', /config\.yaml:1:11: GC_GRACE: "5x" is not a duration/)
    assert.match(lines[2] ?? '', /config\.yaml:2:18: SUPER_USERS: 12 is a number/)
    assert.match(lines[3] ?? '', /config\.yaml:3:15: DB_POOL_SIZE: 0 is out of range.*1 to 500/)
    assert.match(lines[4] ?? '', /config\.yaml:4:1: There is no key "GC_GRACEE"\. Did you mean GC_GRACE\?/)
    assert.match(lines[5] ?? '', /LONGSHORE_LOG_FORMAT: LOG_FORMAT: "xml" .*json, text/)
  })

  test('a key of Quay that is not honoured is a warning with its place, and the start goes on', (t) => {
    const cwd = folder(t, {
      'config.yaml': 'GC_GRACE: 2h\nFEATURE_PROXY_CACHE: true\nACME_LOGIN_CONFIG: {OIDC_SERVER: x}\n',
    })
    const { config, warnings } = load(cwd)
    assert.equal(config.gc.graceMs, 7_200_000)
    assert.match(warnings[0] ?? '', /^config\.yaml:2:1: FEATURE_PROXY_CACHE is a key of Quay/)
    assert.match(warnings[1] ?? '', /^config\.yaml:3:1: ACME_LOGIN_CONFIG is a key of Quay/)
    assert.equal(warnings.length, 2)
  })

  test('an unknown variable is a warning, and those that orchestrators and tests set are not even that', (t) => {
    const env = {
      LONGSHORE_GC_GRAC: '1h',
      LONGSHORE_PORT: 'tcp://1.2.3.4:80',
      LONGSHORE_SERVICE_HOST: 'x',
      LONGSHORE_FAULT: '',
    }
    const { warnings } = load(folder(t), { env })
    assert.deepEqual(warnings, [
      'LONGSHORE_GC_GRAC: There is no key "GC_GRAC". Did you mean GC_GRACE? The variable is ignored.',
    ])
  })

  test('an unknown option stops the start and names the nearest one', (t) => {
    assert.match(
      refusal(folder(t), { flags: { lisen: ':80' } }),
      /--lisen: There is no such option\. Did you mean --listen\?/,
    )
  })

  test('lists and maps in the environment are YAML', (t) => {
    const env = {
      LONGSHORE_SUPER_USERS: '[alice, bob]',
      LONGSHORE_DISTRIBUTED_STORAGE_CONFIG: '{disk: [LocalStorage, {storage_path: /srv/blobs}]}',
    }
    const { config } = load(folder(t), { env })
    assert.deepEqual(config.accounts.superUsers, ['alice', 'bob'])
    assert.deepEqual(config.storage, {
      locations: { disk: { engine: 'LocalStorage', path: '/srv/blobs' } },
      preference: ['disk'],
    })
    assert.match(refusal(folder(t), { env: { LONGSHORE_SUPER_USERS: 'alice' } }), /Write a list/)
    assert.match(refusal(folder(t), { env: { LONGSHORE_SUPER_USERS: '[alice' } }), /not valid YAML/)
  })

  test('an empty variable and a key without a value count as not set, but empty text turns metrics off', (t) => {
    const cwd = folder(t, { 'config.yaml': 'SUPER_USERS:\nGC_GRACE: ~\n' })
    const { config } = load(cwd, {
      env: { LONGSHORE_LOG_LEVEL: '', LONGSHORE_METRICS_LISTEN: '', LONGSHORE_SECRET_KEY_FILE: '' },
    })
    assert.deepEqual(config.accounts.superUsers, [])
    assert.equal(config.gc.graceMs, 3_600_000)
    assert.equal(config.log.level, 'info')
    assert.equal(config.server.metricsListen, undefined)
  })

  test('the words of YAML 1.1 for true and false are understood', (t) => {
    const cwd = folder(t, { 'config.yaml': 'FEATURE_USER_INITIALIZE: yes\nFEATURE_ANONYMOUS_ACCESS: Off\n' })
    const { accounts } = load(cwd).config
    assert.deepEqual([accounts.userInitialize, accounts.anonymousAccess], [true, false])
  })

  test('the configuration is frozen to its last list', (t) => {
    const { config } = load(folder(t))
    for (const part of [config, config.server, config.accounts.superUsers, config.storage.locations, config.tags]) {
      assert.ok(Object.isFrozen(part))
    }
  })
})

describe('secrets in the configuration', () => {
  test('a secret can come from a file of its own, without the newline at its end', (t) => {
    const cwd = folder(t, { key: 'hunter2\n' })
    const { config, sources } = load(cwd, { env: { LONGSHORE_SECRET_KEY_FILE: 'key' } })
    assert.equal(config.secrets.secretKey?.reveal(), 'hunter2')
    const source = sources.find((candidate) => candidate.key === 'SECRET_KEY')
    assert.deepEqual([source?.shown, source?.where], ['***', 'LONGSHORE_SECRET_KEY_FILE'])
  })

  test('a secret file that is missing, empty or given beside the secret itself is refused', (t) => {
    const cwd = folder(t, { empty: '\n', key: 'x' })
    assert.match(refusal(cwd, { env: { LONGSHORE_SECRET_KEY_FILE: 'nope' } }), /cannot be read \(ENOENT\)/)
    assert.match(refusal(cwd, { env: { LONGSHORE_SECRET_KEY_FILE: 'empty' } }), /file is empty/)
    const both = { LONGSHORE_SECRET_KEY_FILE: 'key', LONGSHORE_SECRET_KEY: 'y' }
    assert.match(refusal(cwd, { env: both }), /Keep one of them/)
    assert.match(refusal(cwd, { env: { LONGSHORE_LOG_LEVEL_FILE: 'key' } }), /Only secrets can come from a file/)
  })

  test('a secret is refused on the command line, where every user could read it', (t) => {
    assert.match(refusal(folder(t), { flags: { 'secret-key': 'hunter2' } }), /command line/)
  })

  test('no secret is quoted in problems, warnings or sources, whatever is wrong', (t) => {
    const text = [
      'SECRET_KEY: [hunter2]',
      'DATABASE_SECRET_KEY: {a: hunter2}',
      'DB_URI: mysql://root:hunter2@db/quay',
      'DISTRIBUTED_STORAGE_CONFIG: {s3: [S3Storage, {s3_secret_key: hunter2}]}',
      'MAIL_PASSWORD: hunter2',
    ]
    const cwd = folder(t, { 'config.yaml': `${text.join('\n')}\n` })
    const message = refusal(cwd, { flags: { 'db-uri': 'hunter2' } })
    assert.match(message, /5 problems/)
    assert.doesNotMatch(message, /hunter2/)
    const good = folder(t, {
      'config.yaml': 'SECRET_KEY: hunter2\nDB_URI: postgresql://u:hunter2@db/q?password=hunter2\n',
    })
    const loaded = load(good)
    assert.doesNotMatch(JSON.stringify(loaded), /hunter2/)
  })

  test('a secret of digits only is taken digit for digit', (t) => {
    const cwd = folder(t, { 'config.yaml': 'SECRET_KEY: 00123456789012345678901234567890\n' })
    assert.equal(load(cwd).config.secrets.secretKey?.reveal(), '00123456789012345678901234567890')
  })
})

describe('keys that depend on each other', () => {
  test('TLS needs certificate and key, and both must be readable', (t) => {
    const cwd = folder(t, { 'cert.pem': 'x', 'key.pem': 'y' })
    const env = { LONGSHORE_TLS_CERT_FILE: 'cert.pem' }
    assert.match(refusal(cwd, { env }), /set without TLS_KEY_FILE/)
    assert.match(refusal(cwd, { env: { ...env, LONGSHORE_TLS_KEY_FILE: 'nope' } }), /nope is missing or cannot be read/)
    const { server } = load(cwd, { env: { ...env, LONGSHORE_TLS_KEY_FILE: 'key.pem' } }).config
    assert.deepEqual(server.tls, { certFile: join(cwd, 'cert.pem'), keyFile: join(cwd, 'key.pem') })
    assert.equal(server.urlScheme, 'https')
  })

  test('ssl.cert and ssl.key beside the file are used, and one without the other is refused', (t) => {
    const cwd = folder(t)
    mkdirSync(join(cwd, 'conf'))
    writeFileSync(join(cwd, 'conf/config.yaml'), '')
    writeFileSync(join(cwd, 'conf/ssl.cert'), 'x')
    const file = 'conf/config.yaml'
    assert.match(refusal(cwd, { file }), /ssl\.cert is there and .*ssl\.key is not/)
    writeFileSync(join(cwd, 'conf/ssl.key'), 'y')
    const { server } = load(cwd, { file }).config
    assert.deepEqual(server.tls, { certFile: join(cwd, 'conf/ssl.cert'), keyFile: join(cwd, 'conf/ssl.key') })
    assert.equal(server.urlScheme, 'https')
  })

  test('relative paths in the file start at its folder, those of data at the data directory', (t) => {
    const cwd = folder(t)
    mkdirSync(join(cwd, 'conf'))
    const text =
      'DATA_DIR: store\nDB_URI: sqlite:///r.db\nDISTRIBUTED_STORAGE_CONFIG: {a: [LocalStorage, {storage_path: b}]}\n'
    writeFileSync(join(cwd, 'conf/c.yaml'), text)
    const { config } = load(cwd, { file: 'conf/c.yaml' })
    assert.equal(config.dataDir, join(cwd, 'conf/store'))
    assert.deepEqual(config.database, { kind: 'sqlite', path: join(cwd, 'conf/store/r.db') })
    assert.equal(config.storage.locations['a']?.path, join(cwd, 'conf/store/b'))
    assert.equal(load(cwd, { file: 'conf/c.yaml', flags: { data: 'd' } }).config.dataDir, join(cwd, 'd'))
  })

  test('an engine of Quay that is not there yet is told apart from a misspelt one', (t) => {
    const refuse = (config: string) => refusal(folder(t), { env: { LONGSHORE_DISTRIBUTED_STORAGE_CONFIG: config } })
    assert.match(refuse('{a: [S3Storage, {}]}'), /S3Storage of location a is not supported by this release/)
    assert.match(refuse('{a: [LocalStorag, {}]}'), /not known; LocalStorage is near/)
    assert.match(refuse('{a: [LocalStorage]}'), /options of location a are empty/)
    assert.match(refuse('{a: [LocalStorage, {}]}'), /has no folder/)
    assert.match(refuse('{a: [LocalStorage, {storage_path: x, y: 1}]}'), /no option "y"/)
    assert.match(refuse('{../a: [LocalStorage, {storage_path: x}]}'), /not a name for a location/)
    assert.match(
      refuse('{a: [LocalStorage, {storage_path: x}], b: [LocalStorage, {storage_path: ./x}]}'),
      /share the folder/,
    )
    assert.match(refuse('[a]'), /is a list/)
  })

  test('a preference may only name locations that exist', (t) => {
    const env = { LONGSHORE_DISTRIBUTED_STORAGE_PREFERENCE: '[default, toString]' }
    assert.match(refusal(folder(t), { env }), /at 1: .*There is no location "toString"\. Known: default/)
    assert.match(refusal(folder(t), { env: { LONGSHORE_DISTRIBUTED_STORAGE_PREFERENCE: '[]' } }), /list is empty/)
  })

  test('metrics on the address of the registry itself are refused', (t) => {
    assert.match(
      refusal(folder(t), { flags: { listen: '127.0.0.1:9091' } }),
      /METRICS_LISTEN: It is the address of LISTEN/,
    )
  })

  test('listening on every address without a host name is a warning, since clients elsewhere would be sent to localhost', (t) => {
    const { config, warnings } = load(folder(t), { flags: { listen: ':8080' } })
    assert.equal(config.server.hostname, 'localhost:8080')
    assert.match(warnings[0] ?? '', /^SERVER_HOSTNAME: It is not set/)
    const named = load(folder(t), { flags: { listen: ':8080' }, env: { LONGSHORE_SERVER_HOSTNAME: 'r.example.com' } })
    assert.deepEqual([named.config.server.hostname, named.warnings], ['r.example.com', []])
  })

  test('a default window that nobody could choose is a warning', (t) => {
    const { warnings } = load(folder(t), { env: { LONGSHORE_DEFAULT_TAG_EXPIRATION: '3w' } })
    assert.match(warnings[0] ?? '', /3w is not among TAG_EXPIRATION_OPTIONS/)
  })
})

describe('the default configuration of tests', () => {
  test('a given part replaces the default, and paths and host name follow it', () => {
    const config = defaultConfig({ dataDir: '/tmp/x', server: { listenPort: 0 }, gc: { graceMs: 0 } })
    assert.equal(config.gc.graceMs, 0)
    assert.equal(config.gc.quarantineMs, 900_000)
    assert.deepEqual(config.database, { kind: 'sqlite', path: '/tmp/x/longshore.db' })
    assert.equal(config.storage.locations['default']?.path, '/tmp/x/storage')
    assert.deepEqual([config.server.listenPort, config.server.hostname], [0, 'localhost:0'])
    assert.ok(Object.isFrozen(config.gc))
  })

  test('a database is replaced as a whole', () => {
    const database = {
      kind: 'postgres',
      url: new Secret('postgresql:///x'),
      namedStatements: true,
      poolSize: 2,
    } as const
    assert.deepEqual(defaultConfig({ database }).database, database)
  })
})
