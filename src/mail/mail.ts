import type { Tx } from '../db/db.ts'
import { enqueueJob } from '../jobs/jobs.ts'
import type { Seal } from '../platform/seal.ts'

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** The address of mails that are only queued, never sent. */
export const NOBODY = ''
export const MAIL_JOB = 'mail.send'
/** With the back-off of jobs: about two hours. */
export const MAIL_ATTEMPTS = 20
const CONTEXT = 'mail'

/** A mail as it waits in the database: it may hold a link that opens an account, so nobody can read it there. */
export function sealMail(seal: Seal, mail: Mail): string {
  return Buffer.from(seal.close(Buffer.from(JSON.stringify(mail)), CONTEXT)).toString('base64')
}

/** Undefined for what was sealed under another key. */
export function openMail(seal: Seal, sealed: string): Mail | undefined {
  const bytes = seal.open(Buffer.from(sealed, 'base64'), CONTEXT)
  return bytes && (JSON.parse(Buffer.from(bytes).toString('utf8')) as Mail)
}

/** Sends a mail after the commit, again and again until the server takes it. */
export async function queueMail(tx: Tx, input: { sealed: string; nowMs: number }): Promise<void> {
  const { sealed, nowMs } = input
  await enqueueJob(tx, { name: MAIL_JOB, payload: { sealed }, maxAttempts: MAIL_ATTEMPTS, nowMs })
}
