import type { Arena } from './arena.ts'
import { type Footprint, merge } from './footprint.ts'
import { Divergence, Orders } from './orders.ts'
import type { Grain, Program, Session } from './session.ts'

/** What one order came to. */
export interface End {
  /** Who took each step, by the position in the list of programs. */
  readonly order: string
  readonly outcomes: readonly unknown[]
  readonly state: string
  readonly broken: readonly string[]
  readonly conflicts: readonly string[]
}

export interface Played {
  readonly ends: readonly End[]
  /** Begun and given up because an equal order had been played. */
  readonly redundant: number
}

export interface PlayOptions {
  /** For all programs, or for each of them. */
  readonly grain?: Grain | readonly Grain[]
  /** False: also orders that differ only in steps which have nothing to do with each other. */
  readonly reduce?: boolean
  /** More orders than this are a mistake in the test. */
  readonly limit?: number
}

/** How long a statement that nothing stops may seem to hang before the database is asked whether it waits. */
const PATIENCE_MS = 3

/** Plays every order of the steps of these programs, each from the prepared state of the arena. */
export async function play(arena: Arena, programs: readonly Program[], options: PlayOptions = {}): Promise<Played> {
  const { grain = 'statement', reduce = grain === 'statement', limit = 20_000 } = options
  const orders = new Orders({ reduce })
  const ends: End[] = []
  let redundant = 0
  do {
    const sessions = programs.map((_, at) => sessionAt(arena, at))
    if (await playSurely(arena, sessions, programs, orders, grain)) {
      ends.push({
        order: orders.text,
        outcomes: sessions.map((session) => session.outcome),
        ...(await arena.judge()),
        conflicts: sessions.flatMap((session) => session.conflicts),
      })
    } else redundant++
    if (ends.length > limit) throw new Error(`More than ${limit} orders: make the programs shorter`)
  } while (orders.next())
  return { ends, redundant }
}

/**
 * The ends that no order of whole transactions has: what a client or the data could see of running at the same time.
 * Together with the rules this is what "nothing goes wrong" means.
 */
export async function findAnomalies(
  arena: Arena,
  programs: readonly Program[],
  { mayDeadlock = false, ...options }: { mayDeadlock?: boolean } & PlayOptions = {},
): Promise<{ played: Played; anomalies: string[] }> {
  const serial = await play(arena, programs, { grain: 'transaction' })
  const allowed = new Set(serial.ends.map(meaningOf))
  const played = await play(arena, programs, options)
  const anomalies: string[] = []
  for (const end of [...serial.ends, ...played.ends]) {
    for (const rule of end.broken) anomalies.push(`order ${end.order}: ${rule}`)
  }
  for (const end of played.ends) {
    if (!mayDeadlock && end.conflicts.includes('40P01')) anomalies.push(`order ${end.order}: the sessions deadlocked`)
    if (!allowed.has(meaningOf(end))) {
      anomalies.push(`order ${end.order}: as if in no order of whole transactions\n${meaningOf(end)}`)
    }
  }
  return { played, anomalies }
}

export function meaningOf(end: End): string {
  return `${JSON.stringify(end.outcomes)}\n${end.state}`
}

function sessionAt(arena: Arena, at: number): Session {
  const session = arena.sessions[at]
  if (session === undefined) throw new Error(`The arena has ${arena.sessions.length} sessions`)
  return session
}

const TRIES = 10

/** Plays the order again when a deadlock went to the other session than last time. */
async function playSurely(...args: Parameters<typeof playOnce>): Promise<boolean> {
  const [arena, sessions, , orders] = args
  for (let tries = 1; ; tries++) {
    await arena.restore()
    try {
      return await playOnce(...args)
    } catch (error) {
      // An open transaction would stop every later test.
      await abandon(sessions)
      if (!(error instanceof Divergence) || tries === TRIES) throw error
      orders.again()
    }
  }
}

/** False when the order was given up as redundant. */
async function playOnce(
  arena: Arena,
  sessions: readonly Session[],
  programs: readonly Program[],
  orders: Orders,
  grain: Grain | readonly Grain[],
): Promise<boolean> {
  for (const [at, session] of sessions.entries()) {
    session.start(
      programs[at] ?? (async () => undefined),
      (typeof grain === 'string' ? grain : grain[at]) ?? 'statement',
    )
  }
  for (const session of sessions) await session.settled(10_000)
  for (;;) {
    const waiting = sessions.flatMap((session, at) => (session.status === 'waiting' ? [at] : []))
    if (waiting.length === 0) {
      const stuck = sessions.filter((session) => session.status === 'blocked')
      if (stuck.length === 0) return true
      // They wait for each other in a circle; the database ends it.
      await Promise.race(stuck.map((session) => session.settled(5_000)))
      for (const session of stuck) await untilStill(arena, session)
      continue
    }
    const stalled = sessions.filter((session) => session.status === 'blocked').map((session) => session.next)
    const chosen = orders.choose(
      waiting.map((session) => ({ session, footprint: footprintAt(sessionOf(sessions, session), stalled) })),
    )
    if (chosen === undefined) {
      await abandon(sessions)
      return false
    }
    const session = sessionOf(sessions, chosen)
    session.allow()
    await untilStill(arena, session)
    if (!session.releasedLocks && session.status !== 'blocked') continue
    for (const other of sessions) if (other !== session && other.status === 'blocked') await untilStill(arena, other)
  }
}

/** The end of a transaction lets others go on in their statement, so it does what they do as well. */
function footprintAt(session: Session, stalled: readonly Footprint[]): Footprint {
  return session.next.ends && stalled.length > 0 ? merge([session.next, ...stalled]) : session.next
}

function sessionOf(sessions: readonly Session[], at: number): Session {
  const session = sessions[at]
  if (session === undefined) throw new Error(`There is no session ${at}`)
  return session
}

/** Until the session asks for its next step, has finished, or is known to wait for somebody else. */
async function untilStill(arena: Arena, session: Session): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if (await session.settled(PATIENCE_MS)) return
    if (await arena.isBlocked(session)) {
      if (isSettled(session)) return
      session.status = 'blocked'
      return
    }
  }
  throw new Error('A statement neither ends nor waits for a lock')
}

const isSettled = (session: Session) => session.status === 'waiting' || session.status === 'finished'

async function abandon(sessions: readonly Session[]): Promise<void> {
  for (const session of sessions) session.abandon()
  for (const session of sessions) {
    while (session.status !== 'finished') await session.settled(1_000)
  }
}
