import type { ServerResponse } from 'node:http'

/** How a response came to its end: `gone`: the client left; `stalled`: it took no byte for the idle time and was cut. */
export type OutletState = 'open' | 'complete' | 'gone' | 'stalled'

/**
 * A response as a sender sees it: each write settles when the operating system has taken the bytes over, or at once when
 * the client is lost. Nothing here throws; the sender looks at `state`.
 */
export class Outlet {
  readonly #target: ServerResponse
  readonly #idleMsBefore: number
  #state: OutletState = 'open'
  #bytes = 0
  #unreported = 0
  #timed = true
  #wake: () => void = ignore

  /** A client that takes no byte for `idleMs` (at most twice that) is cut. One that takes some is slow, not stalled. */
  constructor(target: ServerResponse, idleMs: number) {
    this.#target = target
    this.#idleMsBefore = target.req.socket.timeout ?? 0
    if (target.destroyed || target.writableEnded) this.#state = 'gone'
    // The socket's own timer, because it also sees when a part of a large write went out.
    target.setTimeout(idleMs)
    target.on('close', this.#onClose).on('timeout', this.#onTimeout).on('error', ignore)
    // In front: the server's own listener then sets the time that a connection may idle between requests.
    target.prependListener('finish', this.#restoreTimeout)
  }

  get state(): OutletState {
    return this.#state
  }

  /** Bytes that the operating system took over. */
  get bytes(): number {
    return this.#bytes
  }

  /** Every write has reported back: nothing reads from its chunk any more. */
  get isIdle(): boolean {
    return this.#unreported === 0
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#hand(chunk.byteLength, 'open', (done) => this.#target.write(chunk, done))
  }

  /** Writes the last bytes and ends the response. */
  end(chunk: Uint8Array): Promise<void> {
    return this.#hand(chunk.byteLength, 'complete', (done) => {
      if (chunk.byteLength > 0) this.#target.end(chunk, done)
      else this.#target.end(done)
    })
  }

  /** Takes all listeners off. One stays after a failure, so that a late error of the socket is not an uncaught one. */
  letGo(): void {
    this.#restoreTimeout()
    this.#target.off('close', this.#onClose).off('timeout', this.#onTimeout).off('finish', this.#restoreTimeout)
    if (this.#state === 'complete') this.#target.off('error', ignore)
  }

  #hand(
    bytes: number,
    next: 'open' | 'complete',
    start: (done: (error?: Error | null) => void) => void,
  ): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#unreported++
      start((error) => {
        this.#unreported--
        if (error) this.#lose('gone')
        else {
          this.#bytes += bytes
          // Here and not after the promise: `close` follows `finish` at once and must not look like a lost client.
          if (this.#state === 'open') this.#state = next
        }
        resolve()
      })
    })
  }

  #lose(state: 'gone' | 'stalled'): void {
    if (this.#state === 'open') this.#state = state
    this.#wake()
  }

  readonly #onClose = (): void => this.#lose('gone')

  readonly #onTimeout = (): void => {
    // Without a write on its way it is our disk that is slow, not the client.
    if (this.isIdle) return
    this.#lose('stalled')
    this.#target.destroy()
  }

  readonly #restoreTimeout = (): void => {
    if (!this.#timed) return
    this.#timed = false
    this.#target.req.socket.setTimeout(this.#idleMsBefore)
  }
}

function ignore(): void {}
