/** One entry of a `scope` parameter that this registry knows something about. */
export type Scope =
  | { readonly type: 'repository'; readonly name: string; readonly actions: readonly string[] }
  | { readonly type: 'registry'; readonly name: 'catalog'; readonly actions: readonly string[] }

/** More would only serve to make us work. */
const MAX_SCOPES = 100
const MAX_LENGTH = 1_024

/**
 * Reads `scope` parameters: several of them, each with scopes separated by spaces (RFC 6749, 3.3). What is unknown or
 * malformed is dropped, not fatal: a client that asks for too much gets what there is.
 */
export function parseScopes(values: readonly string[]): Scope[] {
  const scopes: Scope[] = []
  for (const text of values.flatMap((value) => value.split(' '))) {
    if (scopes.length >= MAX_SCOPES) break
    const scope = text.length <= MAX_LENGTH ? parseScope(text) : undefined
    if (scope !== undefined) scopes.push(scope)
  }
  return scopes
}

/** `type:name:action,action`; the name may hold a port, so type and actions are taken from the ends. */
function parseScope(text: string): Scope | undefined {
  const first = text.indexOf(':')
  const last = text.lastIndexOf(':')
  if (first <= 0 || last <= first) return undefined
  const type = text.slice(0, first).replace(/\([a-z0-9]+\)$/, '')
  const name = text.slice(first + 1, last)
  const actions = text.slice(last + 1).split(',')
  if (type === 'repository' && name !== '') return { type, name, actions }
  if (type === 'registry' && name === 'catalog') return { type, name, actions }
  return undefined
}
