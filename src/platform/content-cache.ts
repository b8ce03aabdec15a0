/** What was loaded, and what it counts against the limit of the cache, in bytes. */
export interface Loaded<V> {
  readonly value: V
  readonly bytes: number
}

/**
 * Values that never change under their key, such as content by digest: what is found here needs no second look. Bounded in
 * bytes, and whoever asks for a value that is being loaded waits for that.
 */
export class ContentCache<K, V> {
  readonly #maxBytes: number
  readonly #maxEntryBytes: number
  readonly #kept = new Map<K, Loaded<V>>()
  readonly #loading = new Map<K, Promise<V | undefined>>()
  #bytes = 0

  /** A value above `maxEntryBytes` is loaded each time: one must not push out a thousand others. */
  constructor(limits: { readonly maxBytes: number; readonly maxEntryBytes: number }) {
    this.#maxBytes = limits.maxBytes
    this.#maxEntryBytes = limits.maxEntryBytes
  }

  /** Undefined when `load` finds nothing, which is not remembered; neither is an error. */
  async get(key: K, load: () => Promise<Loaded<V> | undefined>): Promise<V | undefined> {
    const known = this.#kept.get(key)
    if (known !== undefined) return known.value
    let loading = this.#loading.get(key)
    if (loading === undefined) {
      loading = this.#load(key, load).finally(() => this.#loading.delete(key))
      this.#loading.set(key, loading)
    }
    return loading
  }

  async #load(key: K, load: () => Promise<Loaded<V> | undefined>): Promise<V | undefined> {
    const loaded = await load()
    if (loaded !== undefined && loaded.bytes <= this.#maxEntryBytes) this.#keep(key, loaded)
    return loaded?.value
  }

  #keep(key: K, loaded: Loaded<V>): void {
    this.#kept.set(key, loaded)
    this.#bytes += loaded.bytes
    // The oldest goes: what is asked for all the time comes back at once.
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) return
      this.#kept.delete(oldest)
      this.#bytes -= bytes
    }
  }
}
