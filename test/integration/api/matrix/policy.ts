/**
 * Who may call what, as the contract of the API has it. Written down by hand, beside the code and not from it: nothing in
 * src/ reads it, and a route without a row here fails the matrix.
 */

export type Rule =
  /** Whoever asks; what they see is another question. */
  | 'anyone'
  /** The route proves the sender in its own way, which its own test shows. */
  | 'own proof'
  | 'signed in'
  /** Somebody, with a credential that reaches into their account. */
  | 'self'
  /** Never 403: 401 unless the credential reads the account. */
  | 'self, readable'
  | 'create in organization'
  | 'repository: read'
  | 'repository: write'
  | 'repository: admin'
  | 'repository: admin or auditor'
  /** As good as deleted where the caller could have it. */
  | 'repository: delete'
  | 'organization: admin'
  | 'organization: admin or auditor'
  | 'organization: member or auditor'
  /** Of the team that the request names: the caller is in none of them. */
  | 'organization: admin, team or auditor'
  /** A credential that reaches into the account as well. */
  | 'organization: admin, with account'
  | 'superuser'
  | 'superuser or auditor'
  /** Only where superusers have full access, or to who may read everything. */
  | 'auditor'

export const policy: Readonly<Record<string, Rule>> = {
  csrf_token: 'anyone',
  signinUser: 'anyone',
  verifyUser: 'self',
  logout: 'anyone',
  getLoggedInUser: 'self, readable',
  getUserInformation: 'anyone',
  createNewUser: 'anyone',
  changeUserDetails: 'self',
  deleteCurrentUser: 'self',
  generateUserClientKey: 'self',
  convertUserToOrganization: 'self',
  retrieveExternalLoginAuthorizationUrl: 'anyone',
  detachExternalLogin: 'self',
  loginPage: 'anyone',
  loginByPage: 'own proof',
  listUserNotifications: 'self',
  getUserNotification: 'self',
  updateUserNotification: 'self',
  createOrganization: 'self',
  getOrganization: 'anyone',
  changeOrganizationDetails: 'organization: admin',
  deleteAdminedOrganization: 'organization: admin',
  getOrganizationMembers: 'organization: admin or auditor',
  getOrganizationCollaborators: 'organization: admin or auditor',
  getOrganizationMember: 'organization: admin or auditor',
  removeOrganizationMember: 'organization: admin',
  updateOrganizationTeam: 'organization: admin',
  deleteOrganizationTeam: 'organization: admin',
  getOrganizationTeamMembers: 'organization: admin, team or auditor',
  updateOrganizationTeamMember: 'organization: admin',
  deleteOrganizationTeamMember: 'organization: admin',
  getOrganizationTeamPermissions: 'organization: admin or auditor',
  inviteTeamMemberEmail: 'organization: admin',
  deleteTeamMemberEmailInvite: 'organization: admin',
  acceptOrganizationTeamInvite: 'self',
  declineOrganizationTeamInvite: 'self',
  confirm_invite: 'anyone',
  answerInvite: 'own proof',
  getOrganizationPrototypePermissions: 'organization: admin or auditor',
  createOrganizationPrototypePermission: 'organization: admin',
  updateOrganizationPrototypePermission: 'organization: admin',
  deleteOrganizationPrototypePermission: 'organization: admin',
  getUserRobots: 'self',
  getUserRobot: 'self',
  createUserRobot: 'self',
  deleteUserRobot: 'self',
  getUserRobotPermissions: 'self',
  regenerateUserRobotToken: 'self',
  getUserRobotCredentials: 'self',
  getOrgRobots: 'organization: member or auditor',
  getOrgRobot: 'organization: admin or auditor',
  createOrgRobot: 'organization: admin',
  deleteOrgRobot: 'organization: admin',
  getOrgRobotPermissions: 'organization: admin, with account',
  regenerateOrgRobotToken: 'organization: admin',
  getOrgRobotCredentials: 'organization: admin',
  getOrganizationApplications: 'organization: admin or auditor',
  createOrganizationApplication: 'organization: admin',
  getOrganizationApplication: 'organization: admin or auditor',
  updateOrganizationApplication: 'organization: admin',
  deleteOrganizationApplication: 'organization: admin',
  resetOrganizationApplicationClientSecret: 'organization: admin',
  getApplicationInformation: 'anyone',
  listOrganizationApplicationTokens: 'organization: admin or auditor',
  createOrganizationApplicationToken: 'organization: admin',
  deleteOrganizationApplicationToken: 'organization: admin',
  listUserAuthorizations: 'self',
  getUserAuthorization: 'self',
  deleteUserAuthorization: 'self',
  listAssignedAuthorizations: 'self',
  deleteAssignedAuthorization: 'self',
  request_authorization_code: 'own proof',
  authorize_application: 'own proof',
  deny_application: 'own proof',
  oauth_local_handler: 'own proof',
  exchange_code_for_token: 'own proof',
  assign_user_to_app: 'own proof',
  listAppTokens: 'self',
  createAppToken: 'self',
  getAppToken: 'self',
  revokeAppToken: 'self',
  createRepo: 'create in organization',
  listRepos: 'anyone',
  getRepo: 'repository: read',
  updateRepo: 'repository: write',
  deleteRepository: 'repository: delete',
  changeRepoVisibility: 'repository: admin',
  changeRepoState: 'repository: admin',
  listRepoUserPermissions: 'repository: admin or auditor',
  getUserPermissions: 'repository: admin or auditor',
  getUserTransitivePermission: 'repository: admin or auditor',
  changeUserPermissions: 'repository: admin',
  deleteUserPermissions: 'repository: admin',
  listRepoTeamPermissions: 'repository: admin or auditor',
  getTeamPermissions: 'repository: admin or auditor',
  changeTeamPermissions: 'repository: admin',
  deleteTeamPermissions: 'repository: admin',
  listStarredRepos: 'self',
  createStar: 'self',
  deleteStar: 'self',
  getMatchingEntities: 'anyone',
  conductSearch: 'anyone',
  conductRepoSearch: 'anyone',
  listAllUsers: 'superuser or auditor',
  createInstallUser: 'superuser',
  getInstallUser: 'superuser or auditor',
  changeInstallUser: 'superuser',
  deleteInstallUser: 'superuser',
  listAllOrganizations: 'superuser or auditor',
  changeOrganization: 'superuser',
  deleteOrganization: 'superuser',
  takeOwnership: 'superuser',
  listAllAppTokens: 'auditor',
  getRegistrySize: 'superuser or auditor',
  queueRegistrySizeCalculation: 'superuser',
  getChangeLog: 'superuser or auditor',
  getConfiguration: 'superuser or auditor',
  listDeletions: 'superuser or auditor',
  releaseDeletedName: 'superuser',
  listServiceKeys: 'superuser or auditor',
  createServiceKey: 'superuser',
  getServiceKey: 'superuser or auditor',
  updateServiceKey: 'superuser',
  deleteServiceKey: 'superuser',
  approveServiceKey: 'superuser',
  getGlobalMessages: 'anyone',
  createGlobalMessage: 'superuser',
  deleteGlobalMessage: 'superuser',
  config: 'anyone',
  getRegistryCapabilities: 'anyone',
  getErrorDescription: 'anyone',
  discovery: 'anyone',
  getOpenApiDocument: 'anyone',
  // Whoever administers the repository, and superusers.
  explainAccess: 'own proof',
  // Only with mail, which their own test has.
  confirm_email: 'own proof',
  confirmByPage: 'own proof',
  confirm_recovery: 'own proof',
  recoverByPage: 'own proof',
  requestRecoveryEmail: 'own proof',
  sendInstallUserRecoveryEmail: 'own proof',
}
