import { type CodeToSend, newEmailCode, sendEmailCode } from '../identity/email-codes.ts'
import { pageUrl, sealedMail } from './mailing.ts'
import type { ApiServices } from './services.ts'

const CONFIRM_MS = 3 * 86_400_000

export interface CodeFor {
  /** Of the account. */
  readonly name: string
  readonly purpose: CodeToSend['purpose']
  readonly email: string
  /** What the mail says besides. */
  readonly more?: readonly string[]
}

/**
 * The code and the mail with the link that confirms an address or opens an account again; undefined where no mail is
 * sent. It counts when a transaction has remembered it.
 */
export function prepareCode(
  services: ApiServices,
  { name, purpose, email, more = [] }: CodeFor,
): CodeToSend | undefined {
  const { code, secretHash } = newEmailCode()
  const path = purpose === 'recover' ? '/recovery' : '/confirm'
  const { subject, paragraphs, label } = texts[purpose](name)
  const link = { label, url: pageUrl(services, `${path}?code=${code}`) }
  const sealed = sealedMail(services, { to: email, subject, paragraphs: [...paragraphs, ...more], link })
  if (sealed === undefined) return undefined
  const lifetimeMs = purpose === 'recover' ? services.config.accounts.recoveryLifetimeMs : CONFIRM_MS
  return { secretHash, purpose, email, expiresMs: services.clock.nowMs() + lifetimeMs, sealed }
}

/** Sends such a mail, where mails are sent. */
export async function sendCode(services: ApiServices, { accountId, ...what }: CodeFor & { accountId: number }) {
  const code = prepareCode(services, what)
  if (code === undefined) return
  await services.db.transaction(sendEmailCode, { ...code, accountId, nowMs: services.clock.nowMs() })
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
    paragraphs: [
      `The account ${name} wants to use this address.`,
      'Nothing changes before it is confirmed, by somebody who has signed in to that account.',
    ],
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

/** What the address of an account gets when its password was changed, whoever has changed it; undefined without mail. */
export function passwordChangedMail(services: ApiServices, name: string, email: string | null): string | undefined {
  if (email === null) return undefined
  return sealedMail(services, {
    to: email,
    subject: 'Account password changed',
    paragraphs: [
      `The password of the account ${name} was changed.`,
      'If that was not you, get back into the account by its recovery and tell an administrator.',
    ],
  })
}
