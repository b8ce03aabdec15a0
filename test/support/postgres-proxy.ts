/** Stands between the driver and PostgreSQL, and does what networks do: loses answers, goes silent, lets nobody in. */
import { connect, createServer, type Socket } from 'node:net'

/** `silent`: everything is taken and nothing comes back. `closed`: new connections are cut at once. */
type Weather = 'fair' | 'silent' | 'closed'

/**
 * What becomes of the next COMMIT. `request-lost`: the connection ends before it reached the server; `answer-lost`: after
 * the server has done it.
 */
type CommitFate = 'arrives' | 'request-lost' | 'answer-lost'

/** As the simple query protocol writes it. */
const COMMIT = 'commit\0'

export interface PostgresProxy {
  /** As the address behind it, by way of the proxy. */
  readonly url: string
  weather: Weather
  /** Goes back to `arrives` when it has come true. */
  nextCommit: CommitFate
  /** What the weather becomes when a commit has been lost. */
  afterLoss: Weather
  close(): Promise<void>
}

/** Opens a proxy before the server of this address. */
export async function openPostgresProxy(address: string): Promise<PostgresProxy> {
  const { hostname, port } = new URL(address)
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer((client) => {
    if (proxy.weather === 'closed') return void client.destroy()
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) keep(socket)
    let lost = false
    const lose = () => {
      proxy.weather = proxy.afterLoss
      client.resetAndDestroy()
    }
    client.on('data', (chunk) => {
      if (proxy.weather === 'silent') return
      const fate = chunk.includes(COMMIT) ? proxy.nextCommit : 'arrives'
      if (fate !== 'arrives') proxy.nextCommit = 'arrives'
      if (fate === 'request-lost') {
        upstream.destroy()
        return lose()
      }
      lost = fate === 'answer-lost'
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (lost) lose()
      else if (proxy.weather !== 'silent') client.write(chunk)
    })
    client.once('close', () => upstream.destroy())
    upstream.once('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const own = server.address()
  const url = new URL(address)
  url.port = String(typeof own === 'object' && own ? own.port : 0)
  const proxy: PostgresProxy = {
    url: url.href,
    weather: 'fair',
    nextCommit: 'arrives',
    afterLoss: 'fair',
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}
