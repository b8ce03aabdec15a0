import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Counts and times requests by route, never by repository: the number of series does not grow with what is stored. */
export class RequestMetrics {
  readonly registry = new Registry()
  readonly #duration: Histogram<'method' | 'route' | 'status'>
  readonly #pulls: Counter
  readonly #pushes: Counter

  constructor() {
    collectDefaultMetrics({ register: this.registry })
    this.#duration = new Histogram({
      name: 'quay_request_duration_seconds',
      help: 'Time from the request line to the last byte of the answer',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers: [this.registry],
    })
    this.#pulls = new Counter({
      name: 'quay_registry_image_pulls_total',
      help: 'Manifests given out',
      registers: [this.registry],
    })
    this.#pushes = new Counter({
      name: 'quay_registry_image_pushes_total',
      help: 'Manifests accepted',
      registers: [this.registry],
    })
  }

  observe(method: string, route: string, status: number, durationMs: number): void {
    this.#duration.observe({ method, route, status }, durationMs / 1000)
    if (!route.endsWith('/manifests/<reference>')) return
    if (method === 'GET' && status === 200) this.#pulls.inc()
    if (method === 'PUT' && status === 201) this.#pushes.inc()
  }

  /** A number that is read when somebody scrapes. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read())
      },
    })
  }

  /** A count since the process began, kept by somebody else, that only grows; read when somebody scrapes. */
  total(name: `${string}_total`, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
}
