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
  /** Teams `team-000001` and so on, beside the owners. The repositories are parted among them, to read. */
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
const numbered = (prefix: string) => `'${prefix}' || substr(cast(1000000 + i as text), 2)`
const quoted = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ')

export function largeTenancy(options: LargeTenancy): string[] {
  const { organization, repositories, users = 0, robots = 0, teams = 0 } = options
  const { inEveryTeam = [], owners = [], reader } = options
  const id = `(select id from namespace where name = '${organization}')`
  const ofTeams = `(select id, cast(substr(name, 6) as integer) - 1 as nr from team
                     where namespace_id = ${id} and name <> 'owners')`
  const ofRepositories = `(select id, cast(substr(name, 9) as integer) - 1 as nr from repository where namespace_id = ${id})`
  const ofPeople = `(select id, namespace_id, cast(substr(name, length(name) - 5) as integer) - 1 as nr from account
                      where kind = 'user' and name >= '${organization}-user-' and name < '${organization}-user-~')`
  const ofRobots = `(select id, cast(substr(name, length(name) - 5) as integer) - 1 as nr from account
                      where kind = 'robot' and namespace_id = ${id})`
  const statements = [
    `insert into namespace (name, kind, state, created_ms) values ('${organization}', 'organization', 'active', 0)`,
    `insert into repository (namespace_id, name, visibility, state, description, created_ms)
     ${counting(repositories)} select ${id}, ${numbered('svc-api-')}, 'private', 'NORMAL', '', 0 from counter`,
    ...["'svc'", "'api'", 'substr(r.name, 9)'].map(
      (word) => `
     insert into repository_word (repository_id, word, namespace_id, is_public)
     select r.id, ${word}, r.namespace_id, 0 from repository r where r.namespace_id = ${id}`,
    ),
    `insert into team (namespace_id, name, role, created_ms) values (${id}, 'owners', 'admin', 0)`,
    `insert into team_member (team_id, account_id, source)
     select t.id, a.id, 'manual' from team t, account a
      where t.namespace_id = ${id} and t.name = 'owners' and a.name in (${quoted(['', ...owners])})`,
  ]
  if (teams > 0) {
    statements.push(
      `insert into team (namespace_id, name, role, created_ms)
       ${counting(teams)} select ${id}, ${numbered('team-')}, 'member', 0 from counter`,
      `insert into repository_team_grant (team_id, repository_id, role)
       select t.id, r.id, 'read' from ${ofRepositories} r join ${ofTeams} t on t.nr = r.nr % ${teams}`,
      `insert into team_member (team_id, account_id, source)
       select t.id, a.id, 'manual' from ${ofTeams} t, account a where a.name in (${quoted(['', ...inEveryTeam])})`,
    )
  }
  if (users > 0) {
    statements.push(
      `insert into namespace (name, kind, state, created_ms)
       ${counting(users)} select ${numbered(`${organization}-user-`)}, 'user', 'active', 0 from counter`,
      `insert into account (kind, name, namespace_id, enabled, token_epoch, created_ms)
       select 'user', n.name, n.id, 1, 1, 0 from namespace n
        where n.kind = 'user' and n.name >= '${organization}-user-' and n.name < '${organization}-user-~'`,
    )
    if (teams > 0)
      statements.push(
        `insert into team_member (team_id, account_id, source)
         select t.id, a.id, 'manual' from ${ofPeople} a join ${ofTeams} t on t.nr = a.nr % ${teams}`,
      )
  }
  if (robots > 0) {
    statements.push(
      `insert into account (kind, name, namespace_id, enabled, token_epoch, created_ms, description, metadata)
       ${counting(robots)} select 'robot', ${numbered(`${organization}+bot-`)}, ${id}, 1, 1, 0, '', '{}' from counter`,
      `insert into repository_grant (account_id, repository_id, role)
       select a.id, r.id, 'read' from ${ofRobots} a join ${ofRepositories} r on r.nr = a.nr % ${repositories}`,
    )
    if (teams > 0)
      statements.push(
        `insert into team_member (team_id, account_id, source)
         select t.id, a.id, 'manual' from ${ofRobots} a join ${ofTeams} t on t.nr = a.nr % ${teams}`,
      )
  }
  if (reader !== undefined)
    statements.push(
      `insert into repository_grant (account_id, repository_id, role)
       select a.id, r.id, 'read' from account a, ${ofRepositories} r
        where a.name = '${reader.name}' and r.nr % ${reader.every} = 0`,
    )
  return statements
}
