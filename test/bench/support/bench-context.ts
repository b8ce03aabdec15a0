import { join } from 'node:path'
import { type OurOptions, type OurSubject, startOurs } from './ours.ts'
import { startPeer } from './peer.ts'
import type { Side } from './row.ts'
import type { Subject } from './subject.ts'

/** A blob that was acknowledged, to be read back later. */
export interface Acknowledged {
  readonly subject: Subject
  readonly repository: string
  readonly digest: string
}

/** What rows work with: the two registries, and a place to undo things. */
export class Bench {
  readonly dir: string
  readonly seed: number
  /** Less work per round: shows that a row works, not how fast it is. */
  readonly quick: boolean
  /** A sample of what the push rows had acknowledged; the durability row reads it back after a kill. */
  readonly ledger: Acknowledged[] = []
  #peer: Promise<Subject> | undefined
  #ours: Promise<OurSubject> | undefined
  #deferred: (() => Promise<unknown>)[] = []

  constructor(options: { dir: string; seed: number; quick: boolean }) {
    this.dir = options.dir
    this.seed = options.seed
    this.quick = options.quick
  }

  /** Work per round, cut down by `--quick`. */
  amount(full: number, quick = Math.max(1, Math.ceil(full / 10))): number {
    return this.quick ? quick : full
  }

  /** The registries that most rows share. Each starts when a row asks for it, so single rows stay quick. */
  subject(side: Side): Promise<Subject> {
    return side === 'peer' ? this.peer() : this.ours()
  }

  peer(): Promise<Subject> {
    this.#peer ??= startPeer(join(this.dir, 'peer'))
    return this.#peer
  }

  ours(): Promise<OurSubject> {
    this.#ours ??= startOurs({ dir: join(this.dir, 'ours') })
    return this.#ours
  }

  /** A server of ours for one row; it is stopped when the row is done. */
  async ownServer(name: string, config: OurOptions['config'] = {}): Promise<OurSubject> {
    const subject = await startOurs({ dir: join(this.dir, name), config })
    this.defer(() => subject.stop())
    return subject
  }

  /** The same for the peer. */
  async ownPeer(name: string): Promise<Subject> {
    const subject = await startPeer(join(this.dir, name))
    this.defer(() => subject.stop())
    return subject
  }

  /** Runs when the row is done, the last one first. */
  defer(undo: () => Promise<unknown>): void {
    this.#deferred.unshift(undo)
  }

  async endRow(): Promise<void> {
    for (const undo of this.#deferred.splice(0)) await undo()
  }

  async close(): Promise<void> {
    await this.endRow()
    await (await this.#peer?.catch(() => undefined))?.stop()
    await (await this.#ours?.catch(() => undefined))?.stop()
  }
}
