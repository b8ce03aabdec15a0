import { appTokenRoutes } from './app-token.routes.ts'
import { documentRoutes } from './document.routes.ts'
import { errorRoutes } from './error.routes.ts'
import { loginRoutes } from './login.routes.ts'
import { memberRoutes } from './member.routes.ts'
import { notificationRoutes } from './notification.routes.ts'
import { organizationRoutes } from './organization.routes.ts'
import { permissionRoutes } from './permission.routes.ts'
import { prototypeRoutes } from './prototype.routes.ts'
import { repositoryRoutes } from './repository.routes.ts'
import type { AnyRestRoute } from './rest-route.ts'
import { robotRoutes } from './robot.routes.ts'
import { sessionRoutes } from './session.routes.ts'
import { starRoutes } from './star.routes.ts'
import { teamRoutes } from './team.routes.ts'
import { teamInviteRoutes } from './team-invite.routes.ts'
import { userRoutes } from './user.routes.ts'

/** Every route of the REST API: what there is, is here. */
export const restRoutes: readonly AnyRestRoute[] = [
  ...sessionRoutes,
  ...userRoutes,
  ...loginRoutes,
  ...notificationRoutes,
  ...organizationRoutes,
  ...memberRoutes,
  ...teamRoutes,
  ...teamInviteRoutes,
  ...prototypeRoutes,
  ...robotRoutes,
  ...appTokenRoutes,
  ...repositoryRoutes,
  ...permissionRoutes,
  ...starRoutes,
  ...errorRoutes,
  ...documentRoutes(() => restRoutes),
]
