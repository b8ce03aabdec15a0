/**
 * Statements that fill an organization with more than clients could make within a test or a benchmark. Both databases
 * take them as they are; they run in the order in which they stand, in one transaction or each by itself.
 */

export interface LargeTenancy {
  readonly organization: string
  /** Private, `svc-api-000001` and so on. */
  readonly repositories: number
  /** Users `<organization>-user-000001` and so on, each in one of the teams, if there are teams. */
  readonly users?: number
  /** Robot accounts `<organization>+bot-000001` and so on, without a token. Each is in a team and reads a repository. */
  readonly robots?: number
  /** Teams `team-000001` and so on, beside the owners. The repositories are parted among them, to read, from the last to the first. */
  readonly teams?: number
  /** Existing users in every one of those teams. */
  readonly inEveryTeam?: readonly string[]
  /** Existing users among the owners. */
  readonly owners?: readonly string[]
  /** An existing user who was granted every so many-th repository, to read. */
  readonly reader?: { readonly name: string; readonly every: number }
}

/** `counter(i)` from 1 to `count`. */
const counting = (count: number) =>
  `with recursive counter(i) as (select 1 union all select i + 1 from counter where i < ${count})`
const numbered = (prefix: string, number = 'i') => `'${prefix}' || substr(cast(1000000 + ${number} as text), 2)`
const quoted = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ')
/** The number at the end of a name, from 0. */
const nr = 'cast(substr(name, length(name) - 5) as integer) - 1 as nr'

export function largeTenancy(options: LargeTenancy): string[] {
  const { organization, repositories, users = 0, robots = 0, teams = 0 } = options
  const { inEveryTeam = [], owners = [], reader } = options
  const id = `(select id from namespace where name = '${organization}')`
  const ofRepositories = `(select id, ${nr} from repository where namespace_id = ${id})`
  const ofUsers = `(select id, ${nr} from account
                     where kind = 'user' and name >= '${organization}-user-' and name < '${organization}-user-~')`
  const ofRobots = `(select id, ${nr} from account where kind = 'robot' and namespace_id = ${id})`
  // One statement makes them all, so their ids follow each other. A join of numbers in names would have no index.
  const first = (table: string, more = '') => `(select min(id) from ${table} where namespace_id = ${id} ${more})`
  const firstTeam = first('team', "and role = 'member'")
  const teamOf = `cross join team t where t.id = ${firstTeam} + x.nr % ${teams}`
  const repositoryOf = `cross join repository r where r.id = ${first('repository')} + x.nr % ${repositories}`
  const joinTeam = (people: string) => `insert into team_member (team_id, account_id, source)
     select t.id, x.id, 'manual' from ${people} x ${teamOf}`
  const words = ["'svc'", "'api'", 'substr(r.name, 9)']
  const statements = [
    `insert into namespace (name, kind, state, created_ms) values ('${organization}', 'organization', 'active', 0)`,
    `insert into repository (namespace_id, name, visibility, state, description, created_ms)
     ${counting(repositories)} select ${id}, ${numbered('svc-api-')}, 'private', 'NORMAL', '', 0 from counter`,
    ...words.map(
      (word) => `insert into repository_word (repository_id, word, namespace_id, is_public)
     select r.id, ${word}, r.namespace_id, 0 from repository r where r.namespace_id = ${id}`,
    ),
    `insert into team (namespace_id, name, role, created_ms) values (${id}, 'owners', 'admin', 0)`,
    `insert into team_member (team_id, account_id, source)
     select t.id, a.id, 'manual' from team t cross join account a
      where t.namespace_id = ${id} and t.name = 'owners' and a.name in (${quoted(['', ...owners])})`,
    `insert into team (namespace_id, name, role, created_ms)
     ${counting(teams)} select ${id}, ${numbered('team-')}, 'member', 0 from counter where i <= ${teams}`,
    `insert into namespace (name, kind, state, created_ms)
     ${counting(users)} select ${numbered(`${organization}-user-`)}, 'user', 'active', 0 from counter where i <= ${users}`,
    `insert into account (kind, name, namespace_id, enabled, token_epoch, created_ms)
     select 'user', n.name, n.id, 1, 1, 0 from namespace n
      where n.kind = 'user' and n.name >= '${organization}-user-' and n.name < '${organization}-user-~'`,
    `insert into account (kind, name, namespace_id, enabled, token_epoch, created_ms, description, metadata)
     ${counting(robots)} select 'robot', ${numbered(`${organization}+bot-`)}, ${id}, 1, 1, 0, '', '{}'
       from counter where i <= ${robots}`,
    `insert into repository_grant (account_id, repository_id, namespace_id, role)
     select x.id, r.id, r.namespace_id, 'read' from ${ofRobots} x ${repositoryOf}`,
  ]
  if (teams > 0)
    statements.push(
      `insert into repository_team_grant (team_id, repository_id, role)
       select t.id, x.id, 'read' from ${ofRepositories} x
        cross join team t where t.id = ${firstTeam} + ${teams - 1} - x.nr % ${teams}`,
      `insert into team_member (team_id, account_id, source)
       select t.id, a.id, 'manual' from team t cross join account a
        where t.namespace_id = ${id} and t.role = 'member' and a.name in (${quoted(['', ...inEveryTeam])})`,
      joinTeam(ofUsers),
      joinTeam(ofRobots),
    )
  if (reader !== undefined)
    statements.push(
      `insert into repository_grant (account_id, repository_id, namespace_id, role)
       select a.id, x.id, ${id}, 'read' from account a cross join ${ofRepositories} x
        where a.name = '${reader.name}' and x.nr % ${reader.every} = 0`,
    )
  return statements
}
