import assert from 'node:assert/strict'
import { type Answer, type SendOptions, send } from './client.ts'

export interface RestOptions {
  readonly headers?: Record<string, string>
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: string | Uint8Array | undefined
}

/** Somebody who calls the REST API: with a browser's session, with a Bearer token, or as nobody. */
export class RestClient {
  readonly base: string
  readonly #authorization: string | undefined
  #cookie: string | undefined
  #csrf: string | undefined

  constructor(base: string, authorization?: string) {
    this.base = base
    this.#authorization = authorization
  }

  /** A browser that has signed in with name and password. */
  static async signIn(base: string, username: string, password: string): Promise<RestClient> {
    const client = new RestClient(base)
    const answer = await client.trySignIn(username, password)
    assert.equal(answer.status, 200, answer.text())
    return client
  }

  async trySignIn(username: string, password: string): Promise<Answer> {
    await this.fetchCsrf()
    return this.post('/api/v1/signin', { username, password })
  }

  /** Gets the token for changes, and a cookie with it. */
  async fetchCsrf(): Promise<string> {
    const answer = await this.send('GET', '/csrf_token')
    assert.equal(answer.status, 200, answer.text())
    const token: string = answer.json().csrf_token
    this.#csrf = token
    return token
  }

  get cookie(): string | undefined {
    return this.#cookie
  }

  async send(method: string, path: string, options: RestOptions = {}): Promise<Answer> {
    const body = options.body ?? (options.json === undefined ? undefined : JSON.stringify(options.json))
    const headers = {
      ...(this.#authorization !== undefined && { authorization: this.#authorization }),
      ...(this.#cookie !== undefined && { cookie: `_csrf_token=${this.#cookie}` }),
      ...(this.#csrf !== undefined && method !== 'GET' && { 'x-csrf-token': this.#csrf }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    }
    const answer = await send(this.base, method, path, { headers, ...(body !== undefined && { body }) } as SendOptions)
    this.#take(answer)
    return answer
  }

  get(path: string, options: RestOptions = {}): Promise<Answer> {
    return this.send('GET', path, options)
  }

  post(path: string, json?: unknown): Promise<Answer> {
    return this.send('POST', path, json === undefined ? {} : { json })
  }

  put(path: string, json?: unknown): Promise<Answer> {
    return this.send('PUT', path, json === undefined ? {} : { json })
  }

  delete(path: string, json?: unknown): Promise<Answer> {
    return this.send('DELETE', path, json === undefined ? {} : { json })
  }

  /** The same, and the JSON of an answer that must have this status. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  async ok(method: string, path: string, json?: unknown, status = 200): Promise<any> {
    const answer = await this.send(method, path, json === undefined ? {} : { json })
    assert.equal(answer.status, status, `${method} ${path}: ${answer.status} ${answer.text()}`)
    return answer.body.length === 0 ? undefined : answer.json()
  }

  #take({ headers }: Answer): void {
    for (const line of headers['set-cookie'] ?? []) {
      const value = /^_csrf_token=([^;]*)/.exec(line)?.[1]
      if (value !== undefined) this.#cookie = value === '' ? undefined : value
    }
    const next = headers['x-next-csrf-token']
    if (typeof next === 'string') this.#csrf = next
  }
}
