const largeBytes = 1024 * 1024
const mediumBytes = 256 * 1024
const spareBytes = 64 * 1024
/** Objects from here on are sent in large pieces. */
const largeFromBytes = 4 * 1024 * 1024

/** Two buffers that belong to one sender until it returns them. */
export interface BufferPair {
  readonly first: Buffer
  readonly second: Buffer
  /** Both buffers are idle: others may have them. */
  giveBack(): void
  /** Something may still read from or write to a buffer: nobody may ever get these two again. */
  abandon(): void
}

/**
 * The buffers that blobs are sent through. They are kept, since fresh pages for each request cost as much CPU as sending.
 *
 * Slow clients hold theirs for long, so a sender that comes when all are lent does not wait: it gets a pair one size
 * smaller and at last a small one that is not kept. A thousand slow clients then cost megabytes, not gigabytes, and
 * cannot stop a fast one.
 */
export class SendBuffers {
  readonly #large: Shelf
  readonly #medium: Shelf

  /**
   * Keeps at most `largePairs` of 2 x 1 MiB and `mediumPairs` of 2 x 256 KiB: by default 24 MiB altogether. Large pieces
   * save a tenth of the CPU, but each keeps the event loop for its copy, so only a few senders have them at a time.
   */
  constructor(largePairs = 4, mediumPairs = 32) {
    this.#large = new Shelf(largeBytes, largePairs)
    this.#medium = new Shelf(mediumBytes, mediumPairs)
  }

  /** A pair for sending `lengthBytes`. */
  lend(lengthBytes: number): BufferPair {
    const large = lengthBytes >= largeFromBytes ? this.#large.lend() : undefined
    return large ?? this.#medium.lend() ?? unpooledPair()
  }
}

class Shelf {
  readonly #bufferBytes: number
  readonly #idle: (readonly [Buffer, Buffer])[] = []
  #available: number

  constructor(bufferBytes: number, pairs: number) {
    this.#bufferBytes = bufferBytes
    this.#available = pairs
  }

  lend(): BufferPair | undefined {
    if (this.#available === 0) return undefined
    this.#available--
    const pair = this.#idle.pop() ?? allocatePair(this.#bufferBytes)
    const [first, second] = pair
    let lent = true
    const settle = (reusable: boolean): void => {
      if (!lent) return
      lent = false
      this.#available++
      if (reusable) this.#idle.push(pair)
    }
    return { first, second, giveBack: () => settle(true), abandon: () => settle(false) }
  }
}

function unpooledPair(): BufferPair {
  const [first, second] = allocatePair(spareBytes)
  return { first, second, giveBack() {}, abandon() {} }
}

function allocatePair(bytes: number): readonly [Buffer, Buffer] {
  // Slow: never a slice of Node's own pool, which other code writes to.
  return [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)]
}
