import type { Transporter } from 'nodemailer'
import { JobRefused, type QueueJob, queueJob } from '../jobs/job.ts'
import type { MailConfig } from '../platform/config/config.ts'
import type { Seal } from '../platform/seal.ts'
import { MAIL_ATTEMPTS, MAIL_JOB, type Mail, NOBODY, openMail } from './mail.ts'

const TIMEOUT_MS = 30_000
/** The port on which SMTP is encrypted from the first byte. */
const IMPLICIT_TLS_PORT = 465

/** Hands waiting mails to the mail server. */
export function sendMails(config: MailConfig, seal: Seal): QueueJob {
  let transport: Promise<Transporter> | undefined
  return queueJob({
    name: MAIL_JOB,
    maxAttempts: MAIL_ATTEMPTS,
    claimMs: 60_000,
    concurrency: 2,
    timeoutMs: 2 * TIMEOUT_MS,
    async run(payload, { log }) {
      const mail = readPayload(payload, seal)
      if (mail.to === NOBODY) return
      // As an address and not as a text, which would be read as a list of them.
      const to = { name: '', address: mail.to }
      transport ??= openTransport(config)
      await (await transport).sendMail({ ...mail, from: config.sender, to }).catch((error: unknown) => {
        throw isRejectedAddress(error) ? new JobRefused('The mail server takes no mail for this address') : error
      })
      log.info({ 'mail.subject': mail.subject }, 'A mail was sent')
    },
  })
}

/** Most installations never send a mail, so the library is loaded for the first one. */
async function openTransport(config: MailConfig): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  return createTransport({
    host: config.host,
    port: config.port,
    secure: config.port === IMPLICIT_TLS_PORT,
    requireTLS: config.requireTls && config.port !== IMPLICIT_TLS_PORT,
    ignoreTLS: !config.requireTls && config.port !== IMPLICIT_TLS_PORT,
    ...(config.user !== undefined && { auth: { user: config.user, pass: config.password?.reveal() ?? '' } }),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
}

/** The server knows the address and refuses it for good; everything else, also a wrong password, can get better. */
function isRejectedAddress(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'EENVELOPE') return false
  const status = 'responseCode' in error ? Number(error.responseCode) : 0
  return status >= 500 && status < 600
}

function readPayload(payload: unknown, seal: Seal): Mail {
  const sealed = typeof payload === 'object' && payload !== null && 'sealed' in payload ? payload.sealed : undefined
  const mail = typeof sealed === 'string' ? openMail(seal, sealed) : undefined
  if (mail === undefined) throw new JobRefused('The mail was sealed under another DATABASE_SECRET_KEY')
  return mail
}
