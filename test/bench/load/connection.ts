import { connect, type Socket } from 'node:net'

export interface Response {
  readonly status: number
  readonly location: string | undefined
  /** Bytes of the body, which is not kept. */
  readonly bodyBytes: number
}

const CRLFCRLF = Buffer.from('\r\n\r\n')
const END_OF_CHUNKS = Buffer.from('\r\n0\r\n\r\n')

/**
 * One keep-alive HTTP/1.1 connection that does as little as possible: prepared bytes go out, of the answer only status
 * and Location are looked at. One request at a time. Bodies are read into one buffer that is used again and again.
 */
export class Connection {
  readonly #socket: Socket
  #head: Buffer | undefined
  #status = 0
  #location: string | undefined
  #bodyBytes = 0
  /** Bytes still to come; undefined in a chunked body. */
  #left: number | undefined = 0
  #tail = Buffer.alloc(0)
  #bodiless = false
  #waiting: { resolve: (response: Response) => void; reject: (error: Error) => void } | undefined
  #dead: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static open(host: string, port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let connection: Connection | undefined
      const callback = (size: number, buffer: Uint8Array): boolean => {
        connection?.receive(Buffer.from(buffer.buffer, buffer.byteOffset, size))
        return true
      }
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: { buffer: Buffer.allocUnsafe(256 * 1024), callback },
      })
      connection = new Connection(socket)
      const opened = connection
      socket.once('connect', () => resolve(opened))
      socket.on('error', (error) => {
        opened.fail(error)
        reject(error)
      })
      socket.on('close', () => opened.fail(new Error('The server closed the connection')))
    })
  }

  /** Sends the parts as they are and waits for the whole answer. `bodiless`: a HEAD, whose Content-Length has no body. */
  send(parts: readonly Uint8Array[], bodiless = false): Promise<Response> {
    if (this.#dead) return Promise.reject(this.#dead)
    this.#bodiless = bodiless
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.cork()
      for (const part of parts) this.#socket.write(part)
      this.#socket.uncork()
    })
  }

  close(): void {
    this.#dead = new Error('The connection was closed by us')
    this.#socket.destroy()
  }

  fail(error: Error): void {
    this.#dead ??= error
    this.#waiting?.reject(this.#dead)
    this.#waiting = undefined
  }

  receive(data: Buffer): void {
    if (this.#waiting === undefined) return
    if (this.#status === 0) this.#receiveHead(data)
    else this.#receiveBody(data)
  }

  #receiveHead(data: Buffer): void {
    const all = this.#head === undefined ? data : Buffer.concat([this.#head, data])
    const end = all.indexOf(CRLFCRLF)
    if (end === -1) {
      // A copy: the buffer belongs to the next read.
      this.#head = Buffer.from(all)
      return
    }
    this.#head = undefined
    const head = all.toString('latin1', 0, end)
    this.#status = Number(head.slice(9, 12))
    this.#location = headerOf(head, 'location')
    this.#bodyBytes = 0
    const length = headerOf(head, 'content-length')
    const none = this.#bodiless || this.#status === 204 || this.#status === 304
    this.#left = none ? 0 : length !== undefined ? Number(length) : isChunked(head) ? undefined : 0
    this.#tail = CRLFCRLF.subarray(0, 2)
    if (this.#left === 0) this.#finish()
    else if (all.length > end + 4) this.#receiveBody(all.subarray(end + 4))
  }

  #receiveBody(data: Buffer): void {
    this.#bodyBytes += data.length
    if (this.#left !== undefined) {
      this.#left -= data.length
      if (this.#left === 0) this.#finish()
      return
    }
    // Only one answer is under way, so the mark at the very end of what has come is the mark of the end.
    this.#tail = Buffer.concat([this.#tail, data.subarray(-END_OF_CHUNKS.length)]).subarray(-END_OF_CHUNKS.length)
    if (this.#tail.equals(END_OF_CHUNKS)) this.#finish()
  }

  #finish(): void {
    const waiting = this.#waiting
    const response = { status: this.#status, location: this.#location, bodyBytes: this.#bodyBytes }
    this.#waiting = undefined
    this.#status = 0
    waiting?.resolve(response)
  }
}

function headerOf(head: string, name: string): string | undefined {
  // Both servers write each header once, in one of these two ways.
  const capital = name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase())
  let start = head.indexOf(`\r\n${capital}: `)
  if (start === -1) start = head.indexOf(`\r\n${name}: `)
  if (start === -1) return undefined
  const from = start + name.length + 4
  const end = head.indexOf('\r\n', from)
  return head.slice(from, end === -1 ? undefined : end)
}

function isChunked(head: string): boolean {
  return headerOf(head, 'transfer-encoding') === 'chunked'
}
