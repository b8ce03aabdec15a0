/**
 * Who gets which answer on every route of the protocol: the promise that `matrix.test.ts` holds the server to. It is
 * written by hand and nothing in `src/` reads it, so that a mistake there cannot make it wrong in the same way.
 */

export const callers = [
  'anonymous',
  'outsider',
  'reader',
  'writer',
  'admin',
  'owner',
  'disabled',
  'revoked',
  'narrow',
] as const
/** `narrow` has a token of the owner for another repository; `revoked` one from before a new password. */
export type CallerKind = (typeof callers)[number]

export type Place = 'public' | 'private' | 'missing'

/** `pass`: the route's own answer. Otherwise the status and the code of the refusal. */
export type Outcome = 'pass' | 'login' | 'scope' | 'denied' | 'unknown'

export const refusals: Readonly<Record<Exclude<Outcome, 'pass'>, readonly [number, string]>> = {
  login: [401, 'UNAUTHORIZED'],
  scope: [401, 'UNAUTHORIZED'],
  denied: [403, 'DENIED'],
  unknown: [404, 'NAME_UNKNOWN'],
}

type Row = Readonly<Record<CallerKind, Outcome>>

/** Outcomes in the order of `callers`. */
function row(text: string): Row {
  const outcomes = text.trim().split(/ +/)
  return Object.fromEntries(callers.map((caller, at) => [caller, outcomes[at]])) as Row
}

type Rows = Readonly<Record<Place, Row>>

//                    anonymous outsider reader writer admin  owner   disabled revoked narrow
const readable = row('pass      pass     pass   pass   pass   pass    login    login   scope')
const hidden = row('  login     denied   pass   pass   pass   pass    login    login   scope')
const absent = row('  login     denied   denied denied denied unknown login    login   scope')
const written = row(' login     denied   denied pass   pass   pass    login    login   scope')
const created = row(' login     denied   denied denied denied pass    login    login   scope')
const signedIn = row('login     pass     pass   pass   pass   pass    login    login   pass')
const listed = row('  login     pass     pass   pass   pass   pass    login    login   scope')
const anybody = row(' pass      pass     pass   pass   pass   pass    login    login   login')

const read: Rows = { public: readable, private: hidden, missing: absent }
const readOrEmpty: Rows = { ...read, missing: { ...absent, owner: 'pass' } }
const write: Rows = { public: written, private: written, missing: absent }
const create: Rows = { public: written, private: written, missing: created }
const everywhere = (same: Row): Rows => ({ public: same, private: same, missing: same })

export const policy: Readonly<Record<string, Rows>> = {
  'GET /v2/': everywhere(signedIn),
  'HEAD /v2/': everywhere(signedIn),
  'GET /v2': everywhere(signedIn),
  'HEAD /v2': everywhere(signedIn),
  'GET /v2/auth': everywhere(anybody),
  'POST /v2/auth': everywhere({ ...anybody, anonymous: 'login' }),
  'GET /v2/_catalog': everywhere(listed),
  'GET /v2/<name>/tags/list': read,
  'GET /v2/<name>/manifests/<reference>': read,
  'HEAD /v2/<name>/manifests/<reference>': read,
  'PUT /v2/<name>/manifests/<reference>': create,
  'DELETE /v2/<name>/manifests/<reference>': write,
  'GET /v2/<name>/blobs/<digest>': read,
  'HEAD /v2/<name>/blobs/<digest>': read,
  'DELETE /v2/<name>/blobs/<digest>': write,
  'POST /v2/<name>/blobs/uploads/': create,
  'GET /v2/<name>/blobs/uploads/<id>': write,
  'PATCH /v2/<name>/blobs/uploads/<id>': write,
  'PUT /v2/<name>/blobs/uploads/<id>': write,
  'DELETE /v2/<name>/blobs/uploads/<id>': write,
  'GET /v2/<name>/referrers/<digest>': readOrEmpty,
}
