import { setImmediate as turn } from 'node:timers/promises'
import { avatarOf } from './avatar.ts'
import type { ApiServices } from './services.ts'

/** How long one list may hold the thread, before other requests have their turn. */
const TURN_MS = 4

/** `rows.map(make)` for lists that are returned whole: others are served in between. */
export async function mapInTurns<T, R>(rows: readonly T[], make: (row: T) => R): Promise<R[]> {
  const made: R[] = []
  let startedMs = performance.now()
  for (const row of rows) {
    made.push(make(row))
    if (performance.now() - startedMs < TURN_MS) continue
    await turn()
    startedMs = performance.now()
  }
  return made
}

export interface TeamView {
  readonly name: string
  readonly avatar: ReturnType<typeof avatarOf>
}

/** Draws each team once: in a long list there are few teams and many members. */
export function rememberedTeams(services: ApiServices): (name: string) => TeamView {
  const known = new Map<string, TeamView>()
  return (name) => {
    const view = known.get(name) ?? { name, avatar: avatarOf(services, 'team', name) }
    known.set(name, view)
    return view
  }
}
