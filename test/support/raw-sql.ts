import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import type { DatabasePlace } from './databases.ts'
import type { TestRegistry } from './registry.ts'

/** Runs a statement beside the product, for states that it would take too long to come to, or never comes to. */
export async function executeRaw(place: DatabasePlace, statement: string): Promise<object[]> {
  if (place.name === 'sqlite') {
    const database = new DatabaseSync(place.address, { timeout: 10_000 })
    try {
      return database.prepare(statement).all()
    } finally {
      database.close()
    }
  }
  const client = new pg.Client({ connectionString: place.address })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

/** Where a registry keeps its rows. */
export function placeOf(registry: TestRegistry): DatabasePlace {
  const { database } = registry.server.services.config
  return database.kind === 'sqlite'
    ? { name: 'sqlite', address: database.path }
    : { name: 'postgres', address: database.url.reveal() }
}
