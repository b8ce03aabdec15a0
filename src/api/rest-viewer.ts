import type { RestCaller } from './rest-caller.ts'

/** Whose eyes a list or a search goes by. */
export interface RestViewer {
  readonly accountId: number
  readonly withPublic: boolean
  readonly readsAll: boolean
}

/** The caller as far as their credential reaches: with one that reaches no repository they see what everybody sees. */
export function viewerOf({ accountId, standing, caps }: RestCaller, withPublic: boolean): RestViewer {
  const reaches = caps.repository !== null
  return {
    accountId: reaches ? accountId : 0,
    withPublic,
    readsAll: reaches && (standing.readsAll || standing.fullAccess),
  }
}

/** Whose stars are listed, and by whose eyes. */
export function starsOf(caller: RestCaller): { readonly accountId: number; readonly viewer: RestViewer } {
  return { accountId: caller.accountId, viewer: viewerOf(caller, true) }
}
