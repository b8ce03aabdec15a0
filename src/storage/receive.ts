import type { Readable } from 'node:stream'
import type { ObjectWriter } from './storage.ts'

/** Bytes that are gathered before they are written with one call: per-chunk writes cost nearly twice the CPU. */
const gatherBytes = 1024 * 1024
/** The operating system takes at most this many pieces in one call; it also bounds what tiny chunks cost in memory. */
const gatherChunks = 1024
/** After this many bytes the other connections get a turn: a fast client otherwise brings 2 MiB in one go. */
const turnBytes = 256 * 1024

export interface ReceiveOptions {
  /** Gets every accepted chunk, in order. */
  readonly hash?: { update(chunk: Uint8Array): unknown } | undefined
  /** Bytes to accept at most in this call. */
  readonly limitBytes: number
  /** How long the client may keep us waiting for a byte. Time in which we do not read does not count. It is measured in quarters, so it may take a quarter more. Default 60 s. */
  readonly idleMs?: number
  readonly signal?: AbortSignal | undefined
  /**
   * Nobody else looks at the chunks, as with the body of a request: their memory is given back when they are written.
   * Left to the collector, each 64 MiB that come make it walk the whole heap, a quarter of what a push costs.
   */
  readonly ownChunks?: boolean
}

export interface Received {
  /**
   * `complete`: the source ended. `too-large`: more than `limitBytes` came. `gone`: the source failed or closed before
   * its end. `stalled`: no byte for `idleMs`. `aborted`: by the signal.
   */
  readonly outcome: 'complete' | 'too-large' | 'gone' | 'stalled' | 'aborted'
  /** Bytes accepted: all of them are written and hashed, whatever the outcome. */
  readonly bytes: number
}

/**
 * Moves a request body into an object; does not flush it. Holds at most 2 MiB and a few chunks, then pauses the source.
 * Unless it is `complete` the source is left paused: the caller drains or destroys it.
 * @throws StorageError as the writer threw it; the source is then paused as well
 */
export function receiveInto(writer: ObjectWriter, source: Readable, options: ReceiveOptions): Promise<Received> {
  return new Promise((resolve, reject) => new Receiver(writer, source, options, resolve, reject).begin())
}

class Receiver {
  readonly #writer: ObjectWriter
  readonly #source: Readable
  readonly #options: ReceiveOptions
  readonly #idleMs: number
  readonly #resolve: (received: Received) => void
  readonly #reject: (error: unknown) => void
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #bytes = 0
  #sinceTurn = 0
  #writing = false
  #outcome: Received['outcome'] | undefined
  /** Quarters of the idle time without a byte: one timer is enough, however many chunks come. */
  #silentQuarters = 0
  /** Runs exactly while we want bytes: undefined means that the source waits for us. */
  #timer: NodeJS.Timeout | undefined

  constructor(
    writer: ObjectWriter,
    source: Readable,
    options: ReceiveOptions,
    resolve: (received: Received) => void,
    reject: (error: unknown) => void,
  ) {
    this.#writer = writer
    this.#source = source
    this.#options = options
    this.#idleMs = options.idleMs ?? 60_000
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(): void {
    const { signal } = this.#options
    const source = this.#source
    if (source.readableEnded) this.#stop('complete')
    else if (source.destroyed) this.#stop('gone')
    else if (signal?.aborted) this.#stop('aborted')
    else {
      signal?.addEventListener('abort', this.#onAbort)
      source.on('end', this.#onEnd).on('error', this.#onGone).on('close', this.#onGone).on('data', this.#onData)
      this.#wait()
    }
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#bytes + chunk.byteLength > this.#options.limitBytes) {
      this.#stop('too-large')
      return
    }
    this.#silentQuarters = 0
    this.#bytes += chunk.byteLength
    this.#options.hash?.update(chunk)
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.byteLength
    if (!this.#isFull()) this.#giveTurn(chunk.byteLength)
    else if (this.#writing) this.#pause()
    else void this.#write()
  }

  readonly #onEnd = (): void => this.#stop('complete')
  readonly #onGone = (): void => this.#stop('gone')
  readonly #onAbort = (): void => this.#stop('aborted')
  readonly #onQuarter = (): void => {
    if (++this.#silentQuarters > 4) this.#stop('stalled')
    else this.#timer = setTimeout(this.#onQuarter, this.#idleMs / 4)
  }

  #giveTurn(bytes: number): void {
    this.#sinceTurn += bytes
    if (this.#sinceTurn < turnBytes) return
    this.#sinceTurn = 0
    this.#source.pause()
    setImmediate(() => {
      if (this.#timer !== undefined) this.#source.resume()
    })
  }

  #isFull(): boolean {
    return this.#gatheredBytes >= gatherBytes || this.#gathered.length >= gatherChunks
  }

  #pause(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#source.pause()
  }

  #wait(): void {
    this.#silentQuarters = 0
    this.#timer = setTimeout(this.#onQuarter, this.#idleMs / 4)
    this.#source.resume()
  }

  async #write(): Promise<void> {
    this.#writing = true
    try {
      do {
        const chunks = this.#gathered
        this.#gathered = []
        this.#gatheredBytes = 0
        if (this.#outcome === undefined && this.#timer === undefined) this.#wait()
        await this.#writer.write(chunks)
        if (this.#options.ownChunks === true) for (const chunk of chunks) giveBack(chunk)
      } while (this.#isFull() || (this.#outcome !== undefined && this.#gathered.length > 0))
    } catch (error) {
      this.#outcome ??= 'aborted'
      this.#letGo()
      this.#reject(error)
      return
    }
    this.#writing = false
    this.#settle()
  }

  /** The first reason counts. What has been gathered is still written. */
  #stop(outcome: Received['outcome']): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#letGo()
    if (this.#writing) return
    if (this.#gathered.length > 0) void this.#write()
    else this.#settle()
  }

  #settle(): void {
    if (this.#outcome !== undefined) this.#resolve({ outcome: this.#outcome, bytes: this.#bytes })
  }

  #letGo(): void {
    const source = this.#source
    if (this.#outcome === 'complete') clearTimeout(this.#timer)
    else this.#pause()
    this.#timer = undefined
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    source.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onGone).off('close', this.#onGone)
    // A client that leaves later must not take the process with it.
    if (this.#outcome !== 'complete') source.on('error', ignore)
  }
}

/** Only memory that is the chunk's alone: a small one may lie in a pool with others. */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

function ignore(): void {}
