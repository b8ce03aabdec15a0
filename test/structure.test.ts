/**
 * The walls of the house: which folder of src/ may import which. The checker is a pure function of paths and sources,
 * so that made-up trees can show that it sees what it must.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, test } from 'node:test'
import { root } from './support/stages.ts'

const foundations = ['oci', 'platform', 'db', 'storage', 'jobs']
const domain = [
  ...['outbox', 'audit', 'objects', 'mail', 'accounts', 'oauth', 'identity', 'notices', 'messages', 'service-keys'],
  ...['organizations', 'repositories', 'auth', 'blobs', 'manifests', 'tags', 'referrers'],
  ...['quota', 'gc', 'fsck'],
]
const edges = ['registry', 'api', 'workers', 'cli']
/** Imports go from right to left only. */
const order = [...foundations, ...domain, ...edges, 'transactions.ts', 'main.ts']

/** Who alone may import a package or a module of Node. */
const owners: readonly { readonly module: RegExp; readonly folder: string }[] = [
  { module: /^node:sqlite$/, folder: 'db' },
  { module: /^nodemailer(\/|$)/, folder: 'mail' },
  { module: /^pg(\/|$)/, folder: 'db' },
  { module: /^(fastify|@fastify\/.*)(\/|$)/, folder: 'platform' },
]

interface Import {
  readonly specifier: string
  /** `url`: a file named by `new URL('./x.ts', import.meta.url)`, which a worker thread will load. */
  readonly kind: 'import' | 'url'
}

/**
 * The modules that a source names: static and type imports, re-exports, `import()` in code and in types, and worker
 * files. The formatter puts each statement at the start of a line, and the lint stage holds it to that.
 */
function findImports(source: string): Import[] {
  const forms: [RegExp, Import['kind']][] = [
    [/^import\s+(?:[\w$*{}\s,]+?\sfrom\s+)?['"]([^'"]+)['"]/gm, 'import'],
    [/^export\s+(?:type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s*from\s+['"]([^'"]+)['"]/gm, 'import'],
    [/\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g, 'import'],
    [/\bnew URL\(\s*['"`](\.[^'"`]+\.ts)['"`]\s*,\s*import\.meta\.url/g, 'url'],
  ]
  return forms.flatMap(([form, kind]) =>
    [...source.matchAll(form)].map((match) => ({ specifier: match[1] ?? '', kind })),
  )
}

/** `src/tags/tags.ts` is in `tags`; a file directly in src/ stands for itself. */
const placeOf = (path: string) => path.split('/')[1] ?? ''
const isTest = (path: string) => path.endsWith('.test.ts')

/** Every broken rule of `files` (paths below the root of the repository, with their sources), one sentence each. */
function findViolations(files: Readonly<Record<string, string>>): string[] {
  const violations: string[] = []
  const graph = new Map<string, string[]>()
  for (const [path, source] of Object.entries(files)) {
    if (!order.includes(placeOf(path)))
      violations.push(`${path}: ${placeOf(path)} has no place in the order of folders`)
    if (placeOf(path) !== 'db' && !isTest(path) && /\bimport\s*\(\s*[^'"`\s]/.test(source))
      violations.push(`${path}: imports a computed name, which hides what it depends on`)
    for (const { specifier, kind } of findImports(source)) {
      if (!specifier.startsWith('.')) {
        violations.push(...checkModule(path, specifier))
        continue
      }
      const target = posix.join(posix.dirname(path), specifier)
      violations.push(...checkFile(path, target))
      if (kind === 'import') graph.set(path, [...(graph.get(path) ?? []), target])
    }
  }
  return [...violations, ...findCycles(graph)]
}

/** Tests beside the code may use what a test needs; what they test may not. */
function checkModule(path: string, module: string): string[] {
  if (isTest(path)) return []
  const place = placeOf(path)
  if (place === 'oci') return [`${path}: imports ${module}, but oci/ is pure and imports nothing from outside`]
  const wrong = owners.filter((owner) => owner.module.test(module) && owner.folder !== place)
  const found = wrong.map(({ folder }) => `${path}: imports ${module}, which only ${folder}/ may`)
  if (/^(node:)?fs(\/|$)/.test(module) && domain.includes(place))
    found.push(`${path}: imports ${module}, but the domain reaches files only through storage/`)
  return found
}

function checkFile(path: string, target: string): string[] {
  const [from, to] = [placeOf(path), placeOf(target)]
  if (!target.startsWith('src/')) return isTest(path) ? [] : [`${path}: imports ${target}, which is not part of src/`]
  const found: string[] = []
  if (isTest(target)) found.push(`${path}: imports ${target}, which is a test`)
  if (from === to) return found
  if (order.indexOf(to) > order.indexOf(from)) found.push(`${path}: imports ${target}, but ${from} stands below ${to}`)
  if (edges.includes(from) && edges.includes(to))
    found.push(`${path}: imports ${target}, but edges do not know each other`)
  if (target.endsWith('.sql.ts') && !['db', 'storage', 'platform'].includes(to))
    found.push(`${path}: imports ${target} past the door of ${to}/`)
  return found
}

function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = []
  const done = new Set<string>()
  const walk = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path)
    if (start >= 0) cycles.push(`cycle: ${[...trail.slice(start), path].join(' -> ')}`)
    if (start >= 0 || done.has(path)) return
    for (const target of graph.get(path) ?? []) walk(target, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  return cycles
}

test('every import in src/ goes up the order of folders, through doors and without a cycle', () => {
  const paths = globSync('src/**/*.ts', { cwd: root })
  assert.ok(paths.length > 0, 'src/ has no files: the walk found nothing to check')
  const files = Object.fromEntries(paths.map((path) => [path, readFileSync(`${root}/${path}`, 'utf8')]))
  assert.deepEqual(findViolations(files), [])
})

describe('the import check', () => {
  const accepts = (files: Record<string, string>) => assert.deepEqual(findViolations(files), [])
  const refuses = (files: Record<string, string>, expected: RegExp) => {
    const found = findViolations(files)
    assert.equal(found.length, 1, `expected one violation, found: ${found.join('; ') || 'none'}`)
    assert.match(found[0] ?? '', expected)
  }

  test('accepts arrows that go up the order', () => {
    accepts({
      'src/main.ts': "import { modules } from './transactions.ts'\nimport { serve } from './registry/serve.ts'\n",
      'src/transactions.ts': "import * as tags from './tags/tags.ts'\n",
      'src/registry/serve.ts': "import {\n  moveTag,\n} from '../tags/tags.ts'\n",
      'src/tags/tags.ts': "import { parse } from '../oci/tag.ts'\nimport { select } from './tags.sql.ts'\n",
      'src/tags/tags.sql.ts': "import type { Tx } from '../db/db.ts'\n",
      'src/db/db.ts': "import { Pool } from 'pg'\nimport { DatabaseSync } from 'node:sqlite'\n",
      'src/db/db.test.ts':
        "import test from 'node:test'\nimport { testPostgresUrl } from '../../test/support/postgres.ts'\n",
    })
  })

  for (const [form, statement] of Object.entries({
    'a static import': "import { removeBlobs } from '../gc/gc.ts'",
    'an import over several lines': "import {\n  removeBlobs,\n  type Review,\n} from '../gc/gc.ts'",
    'a default and a named import': "import gc, { removeBlobs } from '../gc/gc.ts'",
    'an import for its effect': "import '../gc/gc.ts'",
    'a type import': "import type { Review } from '../gc/gc.ts'",
    'a namespace import': "import * as gc from '../gc/gc.ts'",
    're-exported names': "export { removeBlobs } from '../gc/gc.ts'",
    're-exported types': "export type { Review } from '../gc/gc.ts'",
    'a re-exported module': "export * as gc from '../gc/gc.ts'",
    'a dynamic import': "export const load = () => import('../gc/gc.ts')",
    'an import in a type': "export type Later = import('../gc/gc.ts').Review",
    'a worker file': "const worker = new Worker(new URL('../gc/gc.ts', import.meta.url))",
  })) {
    test(`refuses an arrow down the order in the form of ${form}`, () => {
      refuses({ 'src/tags/tags.ts': `// first\n${statement}\n` }, /tags stands below gc/)
    })
  }

  test('refuses one edge that imports another', () => {
    refuses({ 'src/api/tags.routes.ts': "import { x } from '../registry/tags.routes.ts'\n" }, /edges do not know/)
  })

  test('refuses the queries of another folder, and accepts its other files', () => {
    refuses({ 'src/gc/gc.ts': "import { selectTags } from '../tags/tags.sql.ts'\n" }, /past the door of tags/)
    accepts({ 'src/gc/gc.ts': "import { isLive } from '../tags/interval.ts'\n" })
  })

  test('refuses any import from outside in oci/, also of a module of Node', () => {
    refuses({ 'src/oci/digest.ts': "import { createHash } from 'node:crypto'\n" }, /oci\/ is pure/)
    refuses({ 'src/oci/digest.ts': "import { log } from '../platform/log.ts'\n" }, /oci stands below platform/)
    accepts({ 'src/oci/digest.test.ts': "import { test } from 'node:test'\n" })
  })

  test('refuses databases, HTTP and files outside of the folders that own them', () => {
    refuses({ 'src/gc/gc.ts': "import { DatabaseSync } from 'node:sqlite'\n" }, /only db/)
    refuses({ 'src/api/api.ts': "import { Pool } from 'pg'\n" }, /only db/)
    refuses({ 'src/registry/serve.ts': "import type { FastifyInstance } from 'fastify'\n" }, /only platform/)
    refuses({ 'src/blobs/blobs.ts': "import { open } from 'node:fs/promises'\n" }, /only through storage/)
  })

  test('refuses cycles between files, also inside one folder and through types', () => {
    const cycle = {
      'src/tags/a.ts': "import { b } from './b.ts'\n",
      'src/tags/b.ts': "import type { A } from './a.ts'\n",
    }
    refuses(cycle, /cycle: src\/tags\/a\.ts -> src\/tags\/b\.ts -> src\/tags\/a\.ts/)
  })

  test('refuses what is not src/, tests as libraries, unknown folders and computed names', () => {
    refuses({ 'src/db/db.ts': "import { startPostgres } from '../../test/support/postgres.ts'\n" }, /not part of src/)
    refuses({ 'src/db/db.ts': "import { fixture } from './sqlite.test.ts'\n" }, /which is a test/)
    refuses({ 'src/utils/text.ts': '' }, /utils has no place/)
    refuses({ 'src/gc/gc.ts': 'export const load = (name: string) => import(name)\n' }, /computed name/)
  })
})
