import type { Log } from './log.ts'
import { createServer } from './node-http.ts'
import type { RequestMetrics } from './request-metrics.ts'

/** Serves `/metrics` on an address of its own, so that it need not be reachable from where clients are. */
export async function openMetricsServer(options: {
  readonly host: string
  readonly port: number
  readonly metrics: RequestMetrics
  readonly log: Log
}): Promise<{ close(): Promise<void> }> {
  const { registry } = options.metrics
  const server = createServer((request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Metrics are at /metrics.\n')
      return
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  const bound = await new Promise<boolean>((resolve) => {
    server.once('error', (error) => {
      options.log.warn(
        { error, 'metrics.port': options.port },
        'Metrics are off: the address is taken (METRICS_LISTEN chooses another)',
      )
      resolve(false)
    })
    server.listen(options.port, options.host, () => resolve(true))
  })
  server.unref()
  return {
    close: () => new Promise((resolve) => (bound ? server.close(() => resolve()) : resolve())),
  }
}
