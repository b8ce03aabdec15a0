import type { MatrixCaller } from './callers.ts'
import type { Rule } from './policy.ts'

/** What a request is about. */
export type Target = 'own' | 'private' | 'public' | 'missing' | 'foreign' | 'nowhere'

/** `in`: whoever is let in gets any answer but 401 and 403. */
export type Outcome = 'in' | 401 | 403 | 404

const repositoryOrder = [null, 'read', 'write', 'admin']
const teamOrder = [null, 'member', 'creator', 'admin']

/** What the contract wants: 401 to nobody in particular, 403 to somebody, 404 only where they have rights themselves. */
export function expected(rule: Rule, caller: MatrixCaller, target: Target): Outcome {
  const { reach } = caller
  const refused = caller.signedIn ? 403 : 401
  const here = target === 'private' || target === 'public' || target === 'missing' || target === 'own'
  const least = (order: readonly (string | null)[], left: string | null, right: string | null) =>
    Math.min(order.indexOf(left), order.indexOf(right))
  const team = here ? least(teamOrder, caller.team, reach.team) : 0
  const held = target === 'private' || target === 'public' ? caller.repository : null
  const repository = least(repositoryOrder, held, reach.repository)
  const auditor = caller.auditor && reach.superuser
  const on = (isIn: boolean): Outcome => (isIn ? 'in' : refused)
  switch (rule) {
    case 'anyone':
    case 'own proof':
      return 'in'
    case 'signed in':
      return on(caller.signedIn)
    case 'self':
      return on(caller.signedIn && reach.user === 'admin')
    case 'self, readable':
      return caller.signedIn && reach.user !== null ? 'in' : 401
    case 'create in organization':
      return on(team >= teamOrder.indexOf('creator'))
    case 'repository: read':
      // A public one needs no role; one that is missing is told to who could make it.
      if (target === 'public') return 'in'
      if (target === 'missing') return team === 3 ? 404 : refused
      return on(repository >= 1 || (auditor && target !== 'nowhere'))
    case 'repository: write':
    case 'repository: admin':
    case 'repository: admin or auditor':
      if (target === 'missing') return team === 3 ? 404 : refused
      if (rule === 'repository: admin or auditor' && auditor && target !== 'nowhere') return 'in'
      return on(repository >= (rule === 'repository: write' ? 2 : 3))
    case 'repository: delete':
      // Whoever administers the namespace, with a credential that reaches repositories.
      if (target === 'missing') return on(caller.team === 'admin' && reach.repository === 'admin')
      return on(repository >= 3)
    case 'organization: admin':
      return on(team === 3 && target !== 'nowhere')
    case 'organization: admin or auditor':
    case 'organization: admin, team or auditor':
      if (auditor && target === 'nowhere') return 404
      return on(team === 3 || auditor)
    case 'organization: member or auditor':
      if (auditor && target === 'nowhere') return 404
      return on(team >= 1 || auditor)
    case 'organization: admin, with account':
      return on(team === 3 && reach.user === 'admin')
    case 'superuser':
      return on(caller.superuser && reach.superuser)
    case 'superuser or auditor':
      return on((caller.superuser || caller.auditor) && reach.superuser)
    case 'auditor':
      return on(caller.auditor && reach.superuser)
  }
}
