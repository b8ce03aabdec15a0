import { randomBytes, randomInt } from 'node:crypto'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { assertInStep, letEverythingRunOut } from '../integration/gc-support.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { compare, sequences } from './commands.ts'
import { Model, WINDOW_MS } from './model.ts'
import { REPOSITORIES, universeOf } from './universe.ts'

export interface PlayOptions {
  readonly database: { readonly name: 'sqlite' | 'postgres' }
  readonly sequences: number
  readonly commands: number
}

/** Plays random sequences against one server, each in repositories of its own, and prints how to repeat them. */
export async function playSequences(t: TestContext, options: PlayOptions): Promise<void> {
  const seed = Number(process.env['LONGSHORE_SEED'] ?? randomInt(2 ** 31))
  console.log(`LONGSHORE_SEED=${seed} repeats these ${options.sequences} sequences on ${options.database.name}`)
  const config = { tags: { defaultExpirationMs: WINDOW_MS } }
  const registry = await startRegistry(t, { database: options.database, config })
  const property = fc.asyncProperty(sequences(options.commands), (commands) => playOne(registry, commands))
  await fc.assert(property, { seed, numRuns: options.sequences, interruptAfterTimeLimit: 6 * 3_600_000 })
  await letEverythingRunOut(registry)
  await assertInStep(registry)
}

async function playOne(
  registry: TestRegistry,
  commands: ReturnType<typeof sequences> extends fc.Arbitrary<infer C> ? C : never,
): Promise<void> {
  const name = randomBytes(6).toString('hex')
  const model = new Model(universeOf(name))
  const real = { registry, prefix: `owner/s${name}` }
  for (let n = 0; n < REPOSITORIES; n++) await registry.addRepository(`${real.prefix}-${n}`)
  await fc.asyncModelRun(() => ({ model, real }), commands)
  for (let n = 0; n < REPOSITORIES; n++) await compare(model, real, n)
}
