/**
 * `npm run bench`: the same work for Debian's docker-registry and for us, taking turns, on this machine.
 *
 *   npm run bench                              all rows, five rounds
 *   npm run bench -- get-manifest push-1m      some rows
 *   npm run bench -- --rounds 3 --quick        a look whether everything runs, not numbers
 *   npm run bench -- --dir DIR --seed 7        data on another file system; the same draws again
 *
 * Prints a table of medians with what is required, and writes every sample to test-results/bench-<time>.json. It ends
 * with 1 when a row failed or a required value was missed. docs/benchmarks.md says how to read it.
 */
import { randomInt } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../support/stages.ts'
import { ensurePackages } from '../support/system.ts'
import { catalog100k } from './rows/catalog-100k.ts'
import { durability } from './rows/durability.ts'
import { flushes } from './rows/flushes.ts'
import { gc100k } from './rows/gc-100k.ts'
import { getBlob1g } from './rows/get-blob-1g.ts'
import { getBlob1m } from './rows/get-blob-1m.ts'
import { getBlob4k } from './rows/get-blob-4k.ts'
import { getBlob100m } from './rows/get-blob-100m.ts'
import { getManifest } from './rows/get-manifest.ts'
import { getManifestCold } from './rows/get-manifest-cold.ts'
import { headManifest } from './rows/head-manifest.ts'
import { idle } from './rows/idle.ts'
import { loopDelay } from './rows/loop-delay.ts'
import { mount } from './rows/mount.ts'
import { permScale } from './rows/perm-scale.ts'
import { push1g } from './rows/push-1g.ts'
import { push1k } from './rows/push-1k.ts'
import { push1kPut } from './rows/push-1k-put.ts'
import { push1m } from './rows/push-1m.ts'
import { push1mx8 } from './rows/push-1m-8.ts'
import { push100m } from './rows/push-100m.ts'
import { push100mx8 } from './rows/push-100m-8.ts'
import { putManifestRow } from './rows/put-manifest.ts'
import { start } from './rows/start.ts'
import { tags1m } from './rows/tags-1m.ts'
import { token } from './rows/token.ts'
import { Bench } from './support/bench-context.ts'
import { gatherFacts } from './support/facts.ts'
import { loadAverage } from './support/process.ts'
import { summaryOf, tableOf } from './support/report.ts'
import type { Row } from './support/row.ts'
import { type RowResult, runRow } from './support/runner.ts'

/** In the order in which they run: durability reads back what the push rows before it had acknowledged. */
const rows: readonly Row[] = [
  ...[getManifest, headManifest, getManifestCold, token],
  ...[getBlob4k, getBlob1m, getBlob100m, getBlob1g],
  ...[push1k, push1kPut, push1m, push1mx8, push100m, push100mx8, push1g, durability],
  ...[putManifestRow, mount, tags1m, catalog100k, permScale, flushes, loopDelay, gc100k, start, idle],
]

function readOptions() {
  const { values, positionals } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
    },
    allowPositionals: true,
  })
  const rounds = Number(values.rounds)
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error(`--rounds takes a count, not "${values.rounds}"`)
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed takes an integer, not "${values.seed}"`)
  const unknown = positionals.filter((name) => !rows.some((row) => row.name === name))
  if (unknown.length > 0)
    throw new Error(`There is no row ${unknown.join(', ')}; there are: ${rows.map((row) => row.name).join(', ')}`)
  const chosen = positionals.length === 0 ? rows : rows.filter((row) => positionals.includes(row.name))
  return { rounds, seed, quick: values.quick, dir: values.dir, chosen }
}

async function writeResults(facts: object, results: readonly RowResult[]): Promise<string> {
  const folder = join(root, 'test-results')
  await mkdir(folder, { recursive: true })
  const file = join(folder, `bench-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`)
  const plain = results.map(({ row, ...rest }) => {
    const required = row.required.map(({ key, text }) => ({ key, text }))
    return { name: row.name, unit: row.unit, metrics: row.metrics, required, ...rest }
  })
  await writeFile(file, `${JSON.stringify({ ...facts, loadAfter: loadAverage(), rows: plain }, undefined, 2)}\n`)
  return file
}

async function main(): Promise<void> {
  const { chosen, rounds, seed, quick, dir } = readOptions()
  await ensurePackages(['docker-registry', 'wrk', 'strace', 'util-linux'])
  const facts = await gatherFacts({ seed, rounds, quick })
  console.log(JSON.stringify(facts))
  const scratch = await mkdtemp(join(dir, 'longshore-bench-'))
  const bench = new Bench({ dir: scratch, seed, quick })
  // Servers of a run that was interrupted would go on for ever.
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => bench.close().finally(() => process.exit(1)))
  const results: RowResult[] = []
  try {
    for (const row of chosen) {
      const result = await runRow(row, bench, rounds)
      results.push(result)
      console.log(`\n${tableOf(result)}`)
    }
  } finally {
    await bench.close()
    await rm(scratch, { recursive: true, force: true })
  }
  const file = await writeResults(facts, results)
  const { text, clean } = summaryOf(results)
  console.log(`\n${text}\nEvery sample is in ${file}`)
  if (!clean) process.exitCode = 1
}

await main()
