import type { RepositoryRole } from '../accounts/roles.ts'

export type { RepositoryRole }
export type Visibility = 'public' | 'private'

export interface Repository {
  readonly id: number
  readonly namespaceId: number
  /** `namespace/name`, as it stands in URLs. */
  readonly path: string
  readonly visibility: Visibility
  readonly state: 'NORMAL' | 'READ_ONLY' | 'MIRROR'
}
