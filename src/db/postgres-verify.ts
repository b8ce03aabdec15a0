import pg from 'pg'

interface ForeignKey {
  readonly child: string
  readonly parent: string
  readonly columns: string[]
  readonly keys: string[]
}

const MAX_PROBLEMS = 100

/**
 * What PostgreSQL can tell about its own state: foreign keys that do not hold (somebody wrote with triggers off, or a
 * restore went wrong), constraints and indexes that are not in force. On a connection of its own, a statement per key.
 */
export async function verifyPostgres(settings: pg.ClientConfig): Promise<string[]> {
  const client = new pg.Client(settings)
  // Its queries fail when it breaks; without a listener the process would end before it could say why.
  client.on('error', () => {})
  await client.connect()
  try {
    const problems = await withoutForce(client)
    for (const key of await foreignKeys(client)) problems.push(...(await orphansOf(client, key)))
    return problems.slice(0, MAX_PROBLEMS)
  } finally {
    await client.end()
  }
}

async function withoutForce(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ problem: string }>(`
    select 'Table ' || conrelid::regclass || ': the constraint ' || conname || ' is not in force' as problem
      from pg_constraint where not convalidated and connamespace = current_schema()::regnamespace
    union all
    select 'Table ' || i.indrelid::regclass || ': the index ' || i.indexrelid::regclass || ' is not valid'
      from pg_index i join pg_class c on c.oid = i.indexrelid
     where not i.indisvalid and c.relnamespace = current_schema()::regnamespace`)
  return rows.map((row) => row.problem)
}

async function foreignKeys(client: pg.Client): Promise<ForeignKey[]> {
  const columnsOf = (table: string, numbers: string) => `
    array(select quote_ident(a.attname) from unnest(k.${numbers}) with ordinality as p(number, place)
            join pg_attribute a on a.attrelid = k.${table} and a.attnum = p.number order by p.place)`
  const { rows } = await client.query<ForeignKey>(`
    select k.conrelid::regclass::text as child, k.confrelid::regclass::text as parent,
           ${columnsOf('conrelid', 'conkey')} as columns, ${columnsOf('confrelid', 'confkey')} as keys
      from pg_constraint k
     where k.contype = 'f' and k.connamespace = current_schema()::regnamespace
     order by 1, 2`)
  return rows
}

async function orphansOf(client: pg.Client, key: ForeignKey): Promise<string[]> {
  const present = key.columns.map((column) => `c.${column} is not null`).join(' and ')
  const same = key.keys.map((column, at) => `p.${column} = c.${key.columns[at]}`).join(' and ')
  const { rows } = await client.query<{ count: number }>(`
    select count(*)::int as count from ${key.child} c
     where ${present} and not exists (select 1 from ${key.parent} p where ${same})`)
  const count = rows[0]?.count ?? 0
  return count === 0 ? [] : [`Table ${key.child}: ${count} rows name a row of ${key.parent} that is not there`]
}
