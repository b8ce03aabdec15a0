import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/*
 * A thread of its own for SQLite's own checks: they read whole tables, and neither requests nor other reads may wait for
 * that. Table by table, so that the log can be taken over in between.
 */

const MAX_PROBLEMS = 100

function problemsOf(database: DatabaseSync, table: string): string[] {
  const quoted = `"${table.replaceAll('"', '""')}"`
  const found: string[] = []
  const orphans = new Map<string, number>()
  for (const { parent } of database.prepare(`pragma foreign_key_check(${quoted})`).iterate()) {
    orphans.set(String(parent), (orphans.get(String(parent)) ?? 0) + 1)
  }
  for (const [parent, rows] of orphans)
    found.push(`Table ${table}: ${rows} rows name a row of ${parent} that is not there`)
  for (const row of database.prepare(`pragma integrity_check(${quoted})`).iterate()) {
    const message = String(row['integrity_check'])
    // A broken reference is told once, by the check above.
    if (message !== 'ok') found.push(`Table ${table}: ${message.trim()}`)
    if (found.length >= MAX_PROBLEMS) break
  }
  return found
}

if (parentPort) {
  const { path } = workerData as { path: string }
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 })
  const tables = database.prepare("select name from sqlite_schema where type = 'table' order by name").all()
  const problems: string[] = []
  for (const { name } of tables) {
    if (problems.length < MAX_PROBLEMS) problems.push(...problemsOf(database, String(name)))
  }
  database.close()
  parentPort.postMessage(problems)
}
