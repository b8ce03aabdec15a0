import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** The open connections of a server, and whether something is on its way in them. */
export class Connections {
  readonly #server: Server
  readonly #closeIdle: () => void
  readonly #open = new Set<Socket>()

  constructor(server: Server) {
    this.#server = server
    // Both: on a server with TLS the first is the plain connection, which may never become the second.
    for (const event of ['connection', 'secureConnection']) server.on(event, (socket: Socket) => this.#add(socket))
    this.#closeIdle = server.closeIdleConnections.bind(server)
    server.closeIdleConnections = () => this.#closeWhenSent()
  }

  /** Ends all of them, whatever is under way. */
  cut(): void {
    this.#server.closeAllConnections()
    for (const socket of this.#open) socket.destroy()
  }

  #add(socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
  }

  /**
   * Closes what is idle. For Node that is every connection whose answer has been written: one that the client is still
   * reading would end in the middle. So all wait for the last of these, which is closed as soon as it is out.
   */
  #closeWhenSent(): void {
    for (const socket of this.#open) {
      if (socket.writableLength === 0) continue
      socket.once('close', () => this.#closeWhenSent())
      return
    }
    this.#closeIdle()
  }
}
