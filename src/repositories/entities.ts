import type { Tx } from '../db/db.ts'
import { type EntityFilter, type EntityReach, type EntityRow, selectEntities, selectGrantable } from './entities.sql.ts'

export type { EntityReach, EntityRow }

/** What people type into a field for a name: case, accents and blanks do not count. */
export function prefixOf(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}+|\s+/gu, '')
    .toLowerCase()
    .slice(0, 255)
}

/**
 * Who may be given rights and has a name that begins so: users, and of the namespace its robot accounts and, with
 * `withTeams`, its teams. At most `limit` of each.
 */
export function listGrantable(
  tx: Tx,
  input: EntityFilter & { namespace?: { readonly id: number; readonly withTeams: boolean } | undefined },
): Promise<EntityRow[]> {
  return selectGrantable(tx, input)
}

/** Users, organizations, teams and robot accounts with a name that begins so, as far as the caller sees; some of each. */
export async function searchEntities(tx: Tx, input: EntityFilter & { reach: EntityReach }): Promise<EntityRow[]> {
  const rows = await selectEntities(tx, input)
  // With its namespace, a robot account was searched for by the rest of its name.
  return input.prefix.includes('+') ? rows.filter(({ name }) => name.startsWith(input.prefix)) : rows
}
