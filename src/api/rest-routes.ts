import { accessRoutes } from './access.routes.ts'
import { appTokenRoutes } from './app-token.routes.ts'
import { applicationRoutes } from './application.routes.ts'
import { applicationTokenRoutes } from './application-token.routes.ts'
import { authorizationRoutes } from './authorization.routes.ts'
import { configRoutes } from './config.routes.ts'
import { confirmationRoutes } from './confirmation.routes.ts'
import { conversionRoutes } from './conversion.routes.ts'
import { deletionRoutes } from './deletion.routes.ts'
import { documentRoutes } from './document.routes.ts'
import { errorRoutes } from './error.routes.ts'
import { loginRoutes } from './login.routes.ts'
import { memberRoutes } from './member.routes.ts'
import { messageRoutes } from './message.routes.ts'
import { notificationRoutes } from './notification.routes.ts'
import { oauthRoutes } from './oauth.routes.ts'
import { oauthAssignmentRoutes } from './oauth-assignment.routes.ts'
import { oauthExchangeRoutes } from './oauth-exchange.routes.ts'
import { organizationRoutes } from './organization.routes.ts'
import { permissionRoutes } from './permission.routes.ts'
import { prototypeRoutes } from './prototype.routes.ts'
import { recoveryRoutes } from './recovery.routes.ts'
import { registrationRoutes } from './registration.routes.ts'
import { repositoryRoutes } from './repository.routes.ts'
import { repositoryListRoutes } from './repository-list.routes.ts'
import type { AnyRestRoute } from './rest-route.ts'
import { robotRoutes } from './robot.routes.ts'
import { searchRoutes } from './search.routes.ts'
import { serviceKeyRoutes } from './service-key.routes.ts'
import { sessionRoutes } from './session.routes.ts'
import { starRoutes } from './star.routes.ts'
import { superuserOrganizationRoutes } from './superuser-organization.routes.ts'
import { superuserRegistryRoutes } from './superuser-registry.routes.ts'
import { superuserUserRoutes } from './superuser-user.routes.ts'
import { teamRoutes } from './team.routes.ts'
import { teamInviteRoutes } from './team-invite.routes.ts'
import { userRoutes } from './user.routes.ts'

/** Every route of the REST API: what there is, is here. */
export const restRoutes: readonly AnyRestRoute[] = [
  ...sessionRoutes,
  ...userRoutes,
  ...registrationRoutes,
  ...conversionRoutes,
  ...loginRoutes,
  ...confirmationRoutes,
  ...recoveryRoutes,
  ...notificationRoutes,
  ...organizationRoutes,
  ...memberRoutes,
  ...teamRoutes,
  ...teamInviteRoutes,
  ...prototypeRoutes,
  ...robotRoutes,
  ...applicationRoutes,
  ...applicationTokenRoutes,
  ...authorizationRoutes,
  ...oauthRoutes,
  ...oauthExchangeRoutes,
  ...oauthAssignmentRoutes,
  ...appTokenRoutes,
  ...repositoryRoutes,
  ...repositoryListRoutes,
  ...permissionRoutes,
  ...starRoutes,
  ...searchRoutes,
  ...accessRoutes,
  ...superuserUserRoutes,
  ...superuserOrganizationRoutes,
  ...superuserRegistryRoutes,
  ...deletionRoutes,
  ...serviceKeyRoutes,
  ...messageRoutes,
  ...configRoutes,
  ...errorRoutes,
  ...documentRoutes(() => restRoutes),
]
