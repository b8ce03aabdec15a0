import pg from 'pg'

/** One connection that many reads share at the same time; opened when first needed and again after it broke. */
export class ReadClient {
  readonly #settings: pg.ClientConfig
  #current: Promise<pg.Client> | undefined
  #newest: pg.Client | undefined
  #ended = false

  constructor(settings: pg.ClientConfig) {
    this.#settings = settings
  }

  client(): Promise<pg.Client> {
    if (this.#ended) throw new Error('The database is closed')
    this.#current ??= this.#connect()
    return this.#current
  }

  async end(): Promise<void> {
    this.#ended = true
    const client = await this.#current?.catch(() => undefined)
    await client?.end()
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#settings, pipeline: true } as pg.ClientConfig)
    this.#newest = client
    // The end of a connection is told after its error, when the next one may be open already.
    const forget = () => {
      if (this.#newest === client) this.#current = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    try {
      await client.connect()
    } catch (error) {
      forget()
      throw error
    }
    return client
  }
}
