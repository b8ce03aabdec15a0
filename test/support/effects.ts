/** Tables that say who owns, may and did what. */
const watched =
  /^(?:namespace|account|team|repository(?!_blob|_word)|default_permission|star|session|oauth|app_token|email_code|notice|global|service|audit)/
/** What two calls of the same kind write differently. */
const free =
  /^(?:id|uuid|name|description|title|content|kid|jwk|nonce|client_id|email|email_key|password_hash|secret\w*|metadata|company|word)$|_ms$/
/** Which table an id is of. */
const tableOf: Readonly<Record<string, string>> = {
  ...{ namespace_id: 'namespace', account_id: 'account', team_id: 'team', repository_id: 'repository' },
  ...{ application_id: 'oauth_application', creator_id: 'account', inviter_id: 'account' },
}

type Row = Readonly<Record<string, unknown>>
type Tables = ReadonlyMap<string, readonly Row[]>

/**
 * What a call has changed, by table and column, without what two calls of a kind may do differently. `base` is what
 * there was before anything was made for the call.
 */
export function effectOf({ base, before, after }: { base: Tables; before: Tables; after: Tables }): string[] {
  const keyOf = (row: Row) => String(row['id'] ?? `${row['account_id']} ${row['team_id']} ${row['repository_id']}`)
  const fresh = new Map<string, Set<unknown>>()
  for (const [table, rows] of after) {
    const known = new Set((base.get(table) ?? []).map(({ id }) => id))
    const seen = [...rows, ...(before.get(table) ?? [])].map(({ id }) => id)
    fresh.set(table, new Set(seen.filter((id) => !known.has(id))))
  }
  const shown = (column: string, value: unknown) =>
    fresh.get(tableOf[column] ?? '')?.has(value) ? 'new' : JSON.stringify(value)
  const found: string[] = []
  for (const [table, rows] of after) {
    if (!watched.test(table)) continue
    const old = new Map((before.get(table) ?? []).map((row) => [keyOf(row), row]))
    for (const row of rows) {
      const was = old.get(keyOf(row))
      const columns = Object.keys(row).filter((column) => was === undefined || was[column] !== row[column])
      if (was === undefined)
        found.push(
          `${table}: new ${columns.map((column) => (free.test(column) ? '' : `${column}=${shown(column, row[column])}`)).join(' ')}`,
        )
      else if (columns.some((column) => !/^(?:seen|last_accessed)_ms$/.test(column)))
        found.push(`${table}: changed ${columns.join(' ')}`)
    }
    if (rows.length < old.size) found.push(`${table}: fewer`)
  }
  return found.map((line) => line.replaceAll(/-\d+\b/g, '-N')).toSorted()
}
