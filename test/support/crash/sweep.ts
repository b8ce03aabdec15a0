import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { anImage } from '../images.ts'
import { root } from '../stages.ts'
import { checkFsck, checkRepository, checkStore } from './check.ts'
import { Installation, type InstallationOptions, OWNER, ServerGone, WorkFailed } from './installation.ts'
import { Cut, Ledger, Refused } from './ledger.ts'
import { LONG_MS, type Scenario, type Scene, scenarios } from './scenarios.ts'

export interface Break {
  readonly story: string
  readonly point: string
  /** At which passing; `sticky`: and at every later one. */
  readonly nth: number
  readonly sticky: boolean
  readonly effect: 'kill' | 'EIO' | 'ENOSPC'
}

/** How often each story passes each point when nothing breaks. */
export type Passes = ReadonlyMap<string, ReadonlyMap<string, number>>

/** The points that stand in the code. */
export function namedPoints(): string[] {
  const sources = globSync('src/**/*.ts', { cwd: root }).map((file) => readFileSync(join(root, file), 'utf8'))
  const names = sources.flatMap((source) =>
    [...source.matchAll(/\bfaultpoint\('([^']+)'\)/g)].map((match) => match[1] ?? ''),
  )
  return [...new Set(names)].sort()
}

/**
 * Nothing can fail there any more: what has been committed stands, and an error could only lie about it. A process can die
 * there all the same.
 */
const ONLY_DEADLY = new Set(['db.after-commit', 'db.checkpointed'])

/** Every passing of every point of every story, once with this effect. */
export function everyBreak(passes: Passes, effect: Break['effect'], sticky = false): Break[] {
  return [...passes].flatMap(([story, points]) =>
    [...points].flatMap(([point, count]) =>
      effect !== 'kill' && ONLY_DEADLY.has(point)
        ? []
        : Array.from({ length: count }, (_, i) => ({ story, point, nth: i + 1, sticky, effect })),
    ),
  )
}

export interface Outcome {
  readonly done: number
  /** Kills at a passing that did not come this time: how a body is cut into pieces differs from run to run. */
  readonly unreached: number
  /** One line per break after which something was not as it must be. */
  readonly failures: readonly string[]
}

/** Installations side by side on which one thing after the other breaks. */
export class Sweep {
  readonly #options: InstallationOptions
  readonly #stands: Stand[] = []

  private constructor(options: InstallationOptions) {
    this.#options = options
  }

  static async open(options: InstallationOptions, sideBySide = 2): Promise<Sweep> {
    const sweep = new Sweep(options)
    const stands = await Promise.all(Array.from({ length: sideBySide }, () => Stand.open(options)))
    sweep.#stands.push(...stands)
    return sweep
  }

  /** Tells every story once without a fault. */
  async record(): Promise<Passes> {
    const waiting = Object.keys(scenarios)
    const passes = new Map<string, ReadonlyMap<string, number>>()
    await this.#onEach(async (stand) => {
      for (let story = waiting.shift(); story !== undefined; story = waiting.shift())
        passes.set(story, await stand.record(story))
    })
    return passes
  }

  /** An installation on which something was not as it must be is thrown away. */
  async run(breaks: readonly Break[]): Promise<Outcome> {
    const waiting = [...breaks]
    const failures: string[] = []
    let unreached = 0
    await this.#onEach(async (stand, at) => {
      let current = stand
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        try {
          if (!(await current.run(next))) unreached++
        } catch (error) {
          failures.push(`${describeBreak(next)}: ${error instanceof Error ? error.message : String(error)}`)
          await current.close()
          current = await Stand.open(this.#options)
          this.#stands[at] = current
        }
      }
    })
    return { done: breaks.length, unreached, failures }
  }

  /** What was acknowledged before everything that broke is there after all of it. */
  async finish(): Promise<void> {
    await this.#onEach((stand) => stand.finish())
  }

  async close(): Promise<void> {
    await this.#onEach((stand) => stand.close())
  }

  async #onEach(work: (stand: Stand, at: number) => Promise<void>): Promise<void> {
    await Promise.all(this.#stands.map(work))
  }
}

function describeBreak({ story, point, nth, sticky, effect }: Break): string {
  return `${story}: ${effect} at ${point}, passing ${nth}${sticky ? ' and later' : ''}`
}

/** One installation on which things break one after the other. */
class Stand {
  readonly #installation: Installation
  readonly #ledger: Ledger
  #count = 0

  private constructor(installation: Installation) {
    this.#installation = installation
    this.#ledger = new Ledger(installation.client)
  }

  static async open(options: InstallationOptions): Promise<Stand> {
    const stand = new Stand(await Installation.create(options))
    // Acknowledged before everything that breaks, and there after all of it.
    await stand.#ledger.push(`${OWNER}/anchor`, anImage(), 'v1')
    return stand
  }

  async record(story: string): Promise<ReadonlyMap<string, number>> {
    const { scene, act } = await this.#prepare(story)
    this.#installation.forgetPasses()
    await act()
    await this.#installation.settle()
    const passes = this.#installation.passes()
    // It happens once a second whatever is going on: only the story that waits for it passes it reliably.
    if (!story.includes('log'))
      for (const point of [...passes.keys()]) if (point.includes('checkpoint')) passes.delete(point)
    await this.#checkEnd(scene)
    return passes
  }

  /** False: the server was to be killed and was not, because the point was not passed so often. */
  async run(one: Break): Promise<boolean> {
    const { scene, act } = await this.#prepare(one.story)
    this.#installation.arm(`${one.point}:${one.nth}${one.sticky ? '+' : ''}:${one.effect}`)
    let reached = true
    if (one.effect === 'kill') reached = await this.#die(act)
    else await this.#suffer(one, act)
    this.#installation.disarm()
    await this.#check(scene)
    await checkFsck(this.#installation)
    // A client that tries again succeeds: nothing that broke stands in its way.
    await act()
    await this.#check(scene)
    await this.#checkEnd(scene)
    return reached
  }

  /** All of it once more, with the server stopped and started as an operator does. */
  async finish(): Promise<void> {
    await this.#installation.stop()
    await this.#start()
    await checkRepository(this.#ledger, `${OWNER}/anchor`)
    await checkFsck(this.#installation)
  }

  close(): Promise<void> {
    return this.#installation.remove()
  }

  async #prepare(story: string): Promise<{ scene: Scene; act: () => Promise<void> }> {
    const scenario: Scenario | undefined = scenarios[story]
    if (scenario === undefined) throw new Error(`There is no story ${story}`)
    this.#count++
    const repository = `${OWNER}/r${this.#count}`
    const scene = { installation: this.#installation, ledger: this.#ledger, repository }
    const act = await scenario(scene)
    await this.#installation.settle()
    return { scene, act }
  }

  async #start(): Promise<void> {
    await this.#installation.start()
    this.#ledger.client = this.#installation.client
  }

  async #die(act: () => Promise<void>): Promise<boolean> {
    try {
      await act()
    } catch (error) {
      if (!(error instanceof Cut || error instanceof ServerGone)) throw error
    }
    if (!(await this.#installation.diesWithin(3_000))) return false
    // On PostgreSQL the session of a request that died is held until its claim runs out.
    await this.#installation.advance(60_000)
    await this.#start()
    return true
  }

  async #suffer(one: Break, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      if (error instanceof Refused) return assertHonest(one, error)
      // A download has begun when its disk fails: it must end in a way that nobody takes for the whole.
      if (error instanceof Cut && one.story === 'pull') return
      if (!(error instanceof WorkFailed)) throw error
    }
  }

  /** What was acknowledged, and nothing half there. */
  async #check({ repository }: Scene): Promise<void> {
    const { manifests, blobs } = this.#ledger
    const keys = [...this.#ledger.tags.keys(), ...manifests.keys(), ...blobs.keys()]
    const paths = new Set(keys.map((key) => key.split(/[@:]/)[0] ?? ''))
    for (const path of paths)
      if (path === repository || path.startsWith(`${repository}-`)) await checkRepository(this.#ledger, path)
    await checkRepository(this.#ledger, `${OWNER}/anchor`)
  }

  /** No residue is left when every lease has run out; then the story is cleared away. */
  async #checkEnd(scene: Scene): Promise<void> {
    this.#ledger.letTimePass()
    await this.#installation.advance(LONG_MS)
    await this.#installation.collect()
    await this.#check(scene)
    checkStore(this.#ledger, this.#installation.blobRoot)
    for (const key of this.#ledger.tags.keys()) {
      const [path = '', tag = ''] = key.split(':')
      if (path.startsWith(scene.repository) && this.#ledger.tags.certain(key) !== undefined)
        await this.#ledger.deleteTag(path, tag)
    }
  }
}

/** A failing disk is told as one: 507 when it is full, else another 5xx, with a body that clients can show. */
function assertHonest({ effect, point }: Break, { answer }: Refused): void {
  const text = `${answer.status} ${answer.text()}`
  assert.ok(answer.status >= 500, text)
  if (effect === 'ENOSPC' && /^(storage\.(created|written|synced|directory-synced)|db\.)/.test(point))
    assert.equal(answer.status, 507, text)
  const [first] = answer.json().errors
  assert.ok(typeof first.code === 'string' && typeof first.message === 'string', text)
}
