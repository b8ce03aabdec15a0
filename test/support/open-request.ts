import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { type Answer, answerOf } from './client.ts'

/** A request whose body a test sends piece by piece, or never. */
export class OpenRequest {
  /** Rejects when the connection ends without a whole answer. */
  readonly answer: Promise<Answer>
  readonly #request: ClientRequest
  #continued = false
  #settled = false

  /** Without a `content-length` among the headers the body is chunked. */
  constructor(base: string, method: string, path: string, headers: Record<string, string> = {}) {
    const url = new URL(base)
    const request = httpRequest({ host: url.hostname, port: url.port, method, path, headers, agent: false })
    this.#request = request
    // It can come in the same turn as the answer, when nobody waits for it any more.
    request.on('error', () => {})
    request.on('continue', () => {
      this.#continued = true
    })
    this.answer = readAnswer(request).finally(() => {
      this.#settled = true
    })
    // Tests that cut the connection do not ask what came of it.
    this.answer.catch(() => {})
    request.flushHeaders()
  }

  /** The server has asked for the body. */
  get isContinued(): boolean {
    return this.#continued
  }

  get isSettled(): boolean {
    return this.#settled
  }

  /** What the operating system took over, headers included. */
  get sentBytes(): number {
    return this.#request.socket?.bytesWritten ?? 0
  }

  /** Settles when the operating system has taken the bytes over, or the request is over. */
  async write(bytes: Uint8Array): Promise<void> {
    const taken = new Promise((resolve) => this.#request.write(bytes, resolve))
    await Promise.race([taken, this.answer.catch(() => {})])
  }

  end(bytes?: Uint8Array): Promise<Answer> {
    this.#request.end(bytes)
    return this.answer
  }

  /** Ends the connection as a client that died. */
  cut(): void {
    this.#request.destroy()
  }

  /** Sends zeros until the server has had enough. */
  async flood(): Promise<void> {
    const zeros = new Uint8Array(64 * 1024)
    while (!this.#settled) await this.write(zeros)
    this.cut()
  }
}

async function readAnswer(request: ClientRequest): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return answerOf(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))
}
