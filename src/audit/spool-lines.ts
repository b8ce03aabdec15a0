const FIRST_BYTES = 64 * 1024
/** An empty buffer beyond this is given back: what a long outage has filled is not needed afterwards. */
const KEPT_BYTES = 1024 * 1024

/**
 * Lines that wait to be written, as the bytes that will be written. Outside of the heap: as strings, thousands of them
 * would be copied by each collection of young objects until the next write.
 */
export class SpoolLines {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #length = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#length
  }

  /** `line` ends with its line break. */
  add(line: string): void {
    // A UTF-16 unit takes three bytes at most.
    const most = this.#length + line.length * 3
    if (most > this.#bytes.length) this.#grow(most)
    this.#length += this.#bytes.write(line, this.#length)
    this.#count++
  }

  /** A copy of all there is now. */
  copy(): { readonly bytes: Uint8Array; readonly count: number } {
    return { bytes: Uint8Array.prototype.slice.call(this.#bytes, 0, this.#length), count: this.#count }
  }

  /** Forgets what `copy` gave; what was added since stays. */
  drop({ bytes, count }: { readonly bytes: Uint8Array; readonly count: number }): void {
    this.#bytes.copyWithin(0, bytes.byteLength, this.#length)
    this.#length -= bytes.byteLength
    this.#count -= count
    if (this.#count === 0 && this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  }

  #grow(leastBytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(leastBytes, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
