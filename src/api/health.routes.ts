import { json, type Reply } from '../platform/reply.ts'
import type { ApiContext, ApiRoute } from './route.ts'

type Services = Readonly<Record<string, boolean>>

/** A health check, seen by a load balancer or an orchestrator. Its answer is only good for now. */
function check(path: string, summary: string, handle: (context: ApiContext) => Promise<Reply>): ApiRoute {
  return { method: 'GET', path, summary, access: 'open', reader: 'program', handle }
}

/** GET /livez. 200 as long as the process answers; asks nothing of anybody else, so a dead database restarts no process. */
const livezRoute = check('/livez', 'Whether the process should go on', async () => answer(200, { status: 'alive' }))

/** GET /readyz. Whether requests should be sent here now. */
const readyzRoute = check('/readyz', 'Whether requests should be sent here', async ({ checks }) => {
  const services = await instance({ checks })
  const failing = Object.keys(services).filter((name) => services[name] === false)
  return failing.length === 0 ? answer(200, { status: 'ready' }) : answer(503, { status: 'not ready', failing })
})

/** GET /health/instance, and /health: the same in the shape that Quay's load balancers read. */
const instanceRoute = check('/health/instance', 'As /readyz, in the shape of Quay', async ({ checks }) =>
  quayAnswer(await instance({ checks })),
)
const healthRoute = { ...instanceRoute, path: '/health' }

/** GET /health/endtoend, and /status. Also writes, reads and removes an object in every store: for monitoring, not for probes. */
const endToEndRoute = check('/health/endtoend', 'Everything that requests depend on', async ({ checks }) => {
  const [database, storage] = await Promise.all([checks.database(), checks.storage()])
  return quayAnswer({ auth: checks.rights(), database, storage })
})

const statusRoute = { ...endToEndRoute, path: '/status' }

/** GET /health/warning. What is not broken yet: for monitoring. */
const warningRoute = check('/health/warning', 'Whether disks have a tenth of their space left', async ({ checks }) =>
  quayAnswer({ disk_space_warning: await checks.diskSpace() }),
)

export const healthRoutes: readonly ApiRoute[] = [
  livezRoute,
  readyzRoute,
  instanceRoute,
  healthRoute,
  endToEndRoute,
  statusRoute,
  warningRoute,
]

/** `auth` is whether changed rights of other processes are heard of. */
async function instance({ checks }: Pick<ApiContext, 'checks'>): Promise<Services> {
  const accepting = checks.accepting()
  // Who is leaving needs no database to say so.
  const database = accepting ? await checks.database() : true
  return { accepting, auth: checks.rights(), database }
}

function quayAnswer(services: Services): Reply {
  const status = Object.values(services).every(Boolean) ? 200 : 503
  return answer(status, { data: { services }, status_code: status })
}

function answer(status: number, value: object): Reply {
  return json(status, value, { 'Cache-Control': 'no-store' })
}
