import { NOBODY, queueMail, sealMail } from '../mail/mail.ts'
import { type Message, writeMail } from '../mail/messages.ts'
import { Seal } from '../platform/seal.ts'
import type { ApiServices } from './services.ts'

/** What mails are sealed for. */
const MAIL_SEAL = 'mail'

/** A message as `queueMail` takes it; undefined where no mail is sent. */
export function sealedMail(services: ApiServices, message: Message): string | undefined {
  const { config, databaseSecretKey } = services
  if (config.mail === undefined) return undefined
  return sealMail(new Seal(databaseSecretKey.reveal(), MAIL_SEAL), writeMail(config.api.shortTitle, message))
}

/** A mail that goes nowhere, for callers who may not learn whether there is somebody to write to. */
export function sealedMailToNobody(services: ApiServices): string | undefined {
  return sealedMail(services, { to: NOBODY, subject: '', paragraphs: [''] })
}

/** Sends a message, where mails are sent at all. */
export async function send(services: ApiServices, message: Message): Promise<void> {
  const sealed = sealedMail(services, message)
  if (sealed !== undefined) await services.db.transaction(queueMail, { sealed, nowMs: services.clock.nowMs() })
}

/** The address of a page of this registry, for links in mails. */
export function pageUrl({ config, hostname }: ApiServices, path: string): string {
  return `${config.server.urlScheme}://${hostname()}${path}`
}
