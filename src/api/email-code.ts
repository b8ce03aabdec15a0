import { newEmailCode, sendEmailCode } from '../identity/email-codes.ts'
import { pageUrl, sealedMail } from './mailing.ts'
import type { ApiServices } from './services.ts'

const CONFIRM_MS = 3 * 86_400_000

export interface CodeFor {
  readonly accountId: number
  readonly name: string
  readonly purpose: 'confirm' | 'change' | 'recover'
  readonly email: string
}

/** Sends the mail with the link that confirms an address or opens an account again, where mails are sent. */
export async function sendCode(services: ApiServices, { accountId, name, purpose, email }: CodeFor): Promise<void> {
  const { code, secretHash } = newEmailCode()
  const path = purpose === 'recover' ? '/recovery' : '/confirm'
  const { subject, paragraphs, label } = texts[purpose](name)
  const link = { label, url: pageUrl(services, `${path}?code=${code}`) }
  const sealed = sealedMail(services, { to: email, subject, paragraphs, link })
  if (sealed === undefined) return
  const nowMs = services.clock.nowMs()
  const lifetimeMs = purpose === 'recover' ? services.config.accounts.recoveryLifetimeMs : CONFIRM_MS
  const expiresMs = nowMs + lifetimeMs
  await services.db.transaction(sendEmailCode, { secretHash, accountId, purpose, email, expiresMs, sealed, nowMs })
}

const texts: Record<
  CodeFor['purpose'],
  (name: string) => { subject: string; paragraphs: readonly string[]; label: string }
> = {
  confirm: (name) => ({
    subject: 'Please confirm your e-mail address',
    paragraphs: [`An account ${name} was created with this address.`, 'It can be used when the address is confirmed.'],
    label: 'Confirm the address',
  }),
  change: (name) => ({
    subject: 'E-mail address change requested',
    paragraphs: [`The account ${name} wants to use this address.`, 'Nothing changes before it is confirmed.'],
    label: 'Use this address',
  }),
  recover: (name) => ({
    subject: 'Account recovery',
    paragraphs: [
      `Somebody asked to get back into the account ${name}.`,
      'If that was not you, there is nothing to do.',
    ],
    label: 'Get back into the account',
  }),
}
