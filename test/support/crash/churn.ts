import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, SendOptions } from '../client.ts'
import { descriptorOf, digestOf, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../images.ts'
import { checkFsck, checkRepository, checkStore } from './check.ts'
import { Installation, OWNER } from './installation.ts'
import { Ledger } from './ledger.ts'
import { Random } from './random.ts'
import { LONG_MS } from './scenarios.ts'

export interface ChurnOptions {
  readonly seed: number
  readonly seconds: number
  /** Clients that push and delete at the same time. */
  readonly clients: number
  /** Whether the server is killed now and then in the second half. */
  readonly kills: boolean
  readonly mutant?: string
}

export interface ChurnOutcome {
  readonly pushes: number
  readonly deletes: number
  readonly kills: number
  /** Pushes that took longer than the lease of their blobs and were told so: allowed, and rare. */
  readonly late: number
  /** What must not have happened, at most a few of each. */
  readonly violations: readonly string[]
}

const LEASE_MS = 6_000
const REPOSITORIES = 6
const LAYERS = 64

/** Pushers and deleters share layers across repositories while the collector runs all the time and without any grace. */
export async function churn(options: ChurnOptions): Promise<ChurnOutcome> {
  const { mutant } = options
  const installation = await Installation.create({
    database: 'sqlite',
    uploadLeaseMs: LEASE_MS,
    collectEveryMs: 50,
    ...(mutant !== undefined && { mutant }),
  })
  try {
    return await new Churn(installation, options).run()
  } finally {
    await installation.remove()
  }
}

/** The server is down: whoever sees it waits until it is up again. */
class Down extends Error {}

class Churn {
  readonly #installation: Installation
  readonly #options: ChurnOptions
  readonly #ledger: Ledger
  readonly #layers: readonly Uint8Array[]
  readonly #violations: string[] = []
  readonly #counts = { pushes: 0, deletes: 0, kills: 0, late: 0 }
  readonly #untilMs: number
  #up: Promise<void> = Promise.resolve()
  #isDown = false

  constructor(installation: Installation, options: ChurnOptions) {
    this.#installation = installation
    this.#options = options
    this.#ledger = new Ledger(installation.client)
    const random = new Random(options.seed)
    this.#layers = Array.from({ length: LAYERS }, () => random.bytes(2_000))
    this.#untilMs = performance.now() + options.seconds * 1000
  }

  async run(): Promise<ChurnOutcome> {
    const { clients, kills, seed } = this.#options
    const work = Array.from({ length: clients }, (_, at) => this.#client(at, new Random(seed + at + 1)))
    await Promise.all([...work, ...(kills ? [this.#killer(new Random(seed))] : [])])
    await this.#checkQuiet()
    return { ...this.#counts, violations: this.#violations }
  }

  /** Whatever was acknowledged is whole, and two rounds of the collector later nothing else is left. */
  async #checkQuiet(): Promise<void> {
    try {
      for (const path of repositoryPaths()) await checkRepository(this.#ledger, path)
      await checkFsck(this.#installation)
      await this.#installation.advance(LONG_MS)
      await this.#installation.collect()
      await this.#installation.collect()
      for (const path of repositoryPaths()) await checkRepository(this.#ledger, path)
      checkStore(this.#ledger, this.#installation.blobRoot)
      await checkFsck(this.#installation)
    } catch (error) {
      this.#violate(`after quiet: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** The tags of a client are its own, so that it knows what they name; layers and repositories are everybody's. */
  async #client(at: number, random: Random): Promise<void> {
    while (performance.now() < this.#untilMs && this.#violations.length === 0) {
      const path = random.pick(repositoryPaths())
      const tag = `c${at}`
      try {
        const dice = random.below(10)
        if (dice < 5) await this.#push(path, tag, random)
        else if (dice < 7) await this.#delete(path, tag)
        else await this.#pull(path, tag)
      } catch (error) {
        if (!(error instanceof Down)) throw error
        await this.#up
      }
    }
  }

  async #push(path: string, tag: string, random: Random): Promise<void> {
    const layers = [random.pick(this.#layers), random.pick(this.#layers)]
    const config = Buffer.from(JSON.stringify({ nonce: random.bytes(12).toString('hex') }))
    const startedMs = performance.now()
    for (const blob of [config, ...layers]) {
      if (!(await this.#putBlob(path, blob, random))) return
    }
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: descriptorOf(config, OCI_CONFIG),
      layers: layers.map((layer) => descriptorOf(layer, OCI_LAYER)),
    })
    const digest = digestOf(manifest)
    this.#ledger.contents.set(digest, Buffer.from(manifest))
    this.#ledger.tags.expect(`${path}:${tag}`, digest)
    const headers = { 'content-type': OCI_MANIFEST }
    const answer = await this.#send('PUT', `/v2/${path}/manifests/${tag}`, { body: manifest, headers })
    if (answer.status === 201) {
      this.#ledger.tags.settle(`${path}:${tag}`, digest)
      this.#counts.pushes++
    } else if (answer.code === 'MANIFEST_BLOB_UNKNOWN' && performance.now() - startedMs > LEASE_MS) {
      this.#counts.late++
    } else this.#unless503(answer, `push of ${path}:${tag}`)
  }

  /** Uploads, or takes the blob over from another repository as clients try to. */
  async #putBlob(path: string, content: Uint8Array, random: Random): Promise<boolean> {
    const digest = digestOf(content)
    const query = random.below(2) === 0 ? '' : `?mount=${digest}&from=${random.pick(repositoryPaths())}`
    const begun = await this.#send('POST', `/v2/${path}/blobs/uploads/${query}`)
    if (begun.status === 201 && query !== '') return true
    if (begun.status !== 202) return this.#unless503(begun, 'start of an upload')
    const put = await this.#send('PUT', `${begun.headers.location}?digest=${digest}`, { body: content })
    return put.status === 201 || this.#unless503(put, 'end of an upload')
  }

  async #delete(path: string, tag: string): Promise<void> {
    const key = `${path}:${tag}`
    const before = this.#ledger.tags.certain(key)
    if (before === undefined) return
    this.#ledger.tags.expect(key, undefined)
    const answer = await this.#send('DELETE', `/v2/${path}/manifests/${tag}`)
    if (answer.status !== 202) return void this.#unless503(answer, `delete of ${key}`)
    this.#ledger.tags.settle(key, undefined)
    this.#counts.deletes++
  }

  async #pull(path: string, tag: string): Promise<void> {
    const key = `${path}:${tag}`
    const expected = this.#ledger.tags.certain(key)
    if (expected === undefined) return
    const answer = await this.#send('GET', `/v2/${path}/manifests/${tag}`)
    if (answer.status !== 200) return void this.#unless503(answer, `pull of ${key}`)
    if (digestOf(answer.body) !== expected) return this.#violate(`${key} is another manifest than was acknowledged`)
    const { config, layers } = answer.json()
    for (const { digest } of [config, ...layers]) {
      const blob = await this.#send('GET', `/v2/${path}/blobs/${digest}`)
      if (blob.status !== 200) return void this.#unless503(blob, `pull of ${key}, blob ${digest}`)
      if (digestOf(blob.body) !== digest) this.#violate(`${digest} of ${key} was served with wrong bytes`)
    }
  }

  async #killer(random: Random): Promise<void> {
    await sleep(this.#options.seconds * 500)
    while (performance.now() < this.#untilMs - 2_000 && this.#violations.length === 0) {
      await sleep(random.below(2_000))
      let rise = () => {}
      this.#up = new Promise((resolve) => {
        rise = resolve
      })
      this.#counts.kills++
      this.#isDown = true
      await this.#installation.kill()
      await this.#installation.start()
      this.#ledger.client = this.#installation.client
      this.#isDown = false
      rise()
    }
  }

  async #send(method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    const killsBefore = this.#counts.kills
    try {
      return await this.#ledger.client.send(method, path, options)
    } catch (error) {
      if (!this.#isDown && this.#counts.kills === killsBefore)
        this.#violate(`a connection was cut by a server that lives: ${String(error)}`)
      throw new Down(`${method} ${path}`, { cause: error })
    }
  }

  #unless503(answer: Answer, what: string): false {
    if (answer.status !== 503)
      this.#violate(`${what} was answered with ${answer.status} ${answer.text().slice(0, 300)}`)
    return false
  }

  #violate(what: string): void {
    if (this.#violations.length < 10) this.#violations.push(what)
  }
}

function repositoryPaths(): string[] {
  return Array.from({ length: REPOSITORIES }, (_, at) => `${OWNER}/churn${at}`)
}
