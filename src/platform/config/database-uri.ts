import { Secret } from './secret.ts'
import { kindOf, type ValueType } from './value-type.ts'

/** `path` of SQLite may be relative: whoever knows the data directory resolves it. */
export type DatabaseUri =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: Secret; readonly shown: string }

const socketHost = 'socket.invalid'
const forms = 'Write sqlite:///relative, sqlite:////absolute or postgresql://user:password@host:5432/database.'

/**
 * The database in the URL forms of SQLAlchemy, as Quay's files hold them (`postgresql+psycopg2://` loses its driver).
 * The whole value may hold a password, so that no message quotes any part of it.
 */
export const databaseUri: ValueType<DatabaseUri> = {
  label: 'database URI',
  range: 'sqlite:///…, postgresql://…',
  schema: { type: 'string', pattern: '^(sqlite:///|postgres(ql)?(\\+\\w+)?://)' },
  redact: (uri) => (uri.kind === 'sqlite' ? `sqlite:///${uri.path}` : uri.shown),
  read({ value }, fail) {
    if (typeof value !== 'string') {
      fail(`The database URI is ${kindOf(value)}. ${forms}`)
      return undefined
    }
    const parsed = parseDatabaseUri(value)
    if (typeof parsed !== 'string') return parsed
    fail(parsed)
    return undefined
  },
}

/** The parsed URI, or a sentence that says what is wrong and quotes nothing of it. */
export function parseDatabaseUri(text: string): DatabaseUri | string {
  const scheme = /^([A-Za-z][A-Za-z0-9]*)(?:\+\w+)?:\/\//.exec(text)?.[1]?.toLowerCase()
  if (scheme === 'sqlite') return parseSqlite(text)
  if (scheme === 'postgres' || scheme === 'postgresql') return parsePostgres(text)
  if (scheme === 'mysql' || scheme === 'mariadb') {
    return `MySQL and MariaDB are not supported: the schema rests on partial unique indexes, which they do not have. ${forms}`
  }
  return `This is not a database URI that is known here. ${forms}`
}

function parseSqlite(text: string): DatabaseUri | string {
  const path = /^sqlite:\/\/\/(.+)$/i.exec(text)?.[1]
  if (path === undefined || path === ':memory:') {
    return 'SQLite needs a file: a database in memory would lose everything at the next start. Write sqlite:///longshore.db.'
  }
  if (path.includes('?'))
    return 'SQLite takes no options after "?": leave them out, the settings that matter are fixed.'
  return { kind: 'sqlite', path }
}

function parsePostgres(text: string): DatabaseUri | string {
  const plain = text.replace(/^[^:]+:/, 'postgresql:')
  // An account without a host means a socket named by ?host=; the URL parser insists on a host after an account.
  const url = URL.parse(plain.replace('@/', `@${socketHost}/`))
  if (url === null) {
    return 'The PostgreSQL URI cannot be read. Percent-encode special characters of user and password, for example / as %2F and @ as %40.'
  }
  if (url.hash !== '') return 'The PostgreSQL URI has a "#". Percent-encode it as %23.'
  // What is left of an unencoded password would otherwise be taken for the name of the database, and shown.
  if (url.pathname.includes('@'))
    return 'The PostgreSQL URI has an "@" after its host. Percent-encode / as %2F and @ as %40.'
  if (url.pathname.length < 2) {
    return 'The PostgreSQL URI names no database. Write postgresql://user:password@host:5432/database.'
  }
  const account = url.username === '' && url.password === '' ? '' : '***@'
  const host = url.host === socketHost ? '' : url.host
  return { kind: 'postgres', url: new Secret(plain), shown: `postgresql://${account}${host}${url.pathname}` }
}
