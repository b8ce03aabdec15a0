import { type JobContext, job, type RecurringJob } from '../jobs/job.ts'
import { faultpoint } from '../platform/fault.ts'
import {
  listDeletedNamespaces,
  listDeletedRepositories,
  type Purged,
  purgeNamespace,
  purgeRepository,
} from './purge.ts'

/** Rows of one transaction: few enough that no client waits for it. */
const ROWS = 200
const PAGE = 100
const BEFORE_ALL = { id: 0, deletedMs: -1 }
/** Losing the newest pieces in a power cut means doing them again. */
const REPEATABLE = { durability: 'relaxed' } as const

/**
 * Removes what users, organizations and repositories that were deleted have left in the database, behind the requests of
 * clients. The collector takes the bytes.
 */
export function purgeDeleted(options: { readonly nameHoldMs: number }): RecurringJob {
  return job({
    name: 'gc.purge-deleted',
    wakeOn: 'purge',
    everyMs: 30_000,
    timeoutMs: 10 * 60_000,
    async run(context) {
      const namespaces = await purgeNamespaces(context, options.nameHoldMs)
      const repositories = await purgeRepositories(context)
      return (namespaces || repositories) && !context.signal.aborted ? 'again' : 'done'
    },
  })
}

/** Returns whether anything has moved on. */
async function purgeRepositories({ read, transaction, clock, signal }: JobContext): Promise<boolean> {
  let moved = false
  for (let after = BEFORE_ALL; ; ) {
    const page = await read(listDeletedRepositories, { after, limit: PAGE })
    for (const { id } of page) {
      const piece = () => transaction(purgeRepository, { id, limit: ROWS, nowMs: clock.nowMs() }, REPEATABLE)
      moved = (await purgeWhole(piece, signal)) || moved
    }
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE || signal.aborted) return moved
    after = last
  }
}

async function purgeNamespaces({ read, transaction, clock, signal }: JobContext, nameHoldMs: number): Promise<boolean> {
  let moved = false
  for (let after = BEFORE_ALL; ; ) {
    const page = await read(listDeletedNamespaces, { after, limit: PAGE })
    for (const { id } of page) {
      const input = () => ({ id, limit: ROWS, nowMs: clock.nowMs(), nameHoldMs })
      moved = (await purgeWhole(() => transaction(purgeNamespace, input(), REPEATABLE), signal)) || moved
    }
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE || signal.aborted) return moved
    after = last
  }
}

async function purgeWhole(piece: () => Promise<Purged>, signal: AbortSignal): Promise<boolean> {
  for (let moved = false; ; moved = true) {
    if (signal.aborted) return moved
    const outcome = await piece()
    faultpoint('gc.piece-purged')
    if (outcome !== 'again') return moved || outcome === 'done'
  }
}
