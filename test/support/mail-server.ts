import { SMTPServer } from 'smtp-server'
import type { Answer } from './client.ts'
import type { RestClient } from './rest-client.ts'

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  readonly headers: string
  /** Decoded text of both parts, the plain one and the one in HTML. */
  readonly text: string
}

export interface MailServerOptions {
  /** Addresses that it knows nobody at. */
  readonly unknown?: RegExp
  /** Takes no mails at the moment. */
  readonly busy?: () => boolean
  /** Takes mails from nobody else. */
  readonly login?: { readonly user: string; readonly password: string }
}

interface Lifetime {
  after(end: () => Promise<void>): void
}

/** A real SMTP server on loopback that keeps what it gets. */
export class MailServer {
  readonly port: number
  readonly mails: ReceivedMail[] = []
  readonly #waiting: (() => void)[] = []

  private constructor(port: number) {
    this.port = port
  }

  static async start(t: Lifetime, { unknown, busy, login }: MailServerOptions = {}): Promise<MailServer> {
    let mailbox: MailServer | undefined
    const server = new SMTPServer({
      authOptional: login === undefined,
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, done) {
        const fits = username === login?.user && password === login?.password
        done(fits ? null : new Error('Wrong name or password'), { user: username })
      },
      onRcptTo({ address }, _session, done) {
        if (busy?.()) done(Object.assign(new Error('Come back later'), { responseCode: 451 }))
        else if (unknown?.test(address)) done(Object.assign(new Error('Nobody here'), { responseCode: 550 }))
        else done()
      },
      disabledCommands: ['STARTTLS'],
      // What is still connected when a test ends is cut off.
      closeTimeout: 100,
      onData(stream, session, done) {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope
          const from = mailFrom === false ? '' : mailFrom.address
          mailbox?.take(
            from,
            rcptTo.map(({ address }) => address),
            Buffer.concat(chunks).toString('utf8'),
          )
          done()
        })
      },
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.server.address()
    if (address === null || typeof address === 'string') throw new Error('The mail server has no port')
    mailbox = new MailServer(address.port)
    t.after(() => new Promise<void>((resolve) => server.close(() => resolve())))
    return mailbox
  }

  take(from: string, to: readonly string[], raw: string): void {
    const end = raw.indexOf('\r\n\r\n')
    const body = raw.slice(end + 4)
    const joined = body
      .replace(/=\r\n/g, '')
      .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    const unfolded = raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ')
    this.mails.push({ from, to, headers: unfolded, text: joined })
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The newest mail to an address, as soon as there are `count` of them. */
  async receive(to: string, count = 1): Promise<ReceivedMail> {
    const deadline = performance.now() + 10_000
    for (;;) {
      const found = this.mails.filter((mail) => mail.to.includes(to))
      const newest = found.at(-1)
      if (found.length >= count && newest !== undefined) return newest
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`No mail to ${to} came`)
      await Promise.race([
        new Promise<void>((resolve) => this.#waiting.push(resolve)),
        new Promise((resolve) => setTimeout(resolve, leftMs)),
      ])
    }
  }
}

/** The path and query of the link in a mail. */
export function linkIn(mail: ReceivedMail): string {
  const url = /https?:\/\/\S+/.exec(mail.text)?.[0]
  if (url === undefined) throw new Error(`There is no link in ${mail.text}`)
  const { pathname, search } = new URL(url)
  return `${pathname}${search}`
}

const BROWSER = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }

/** Opens a page with a form and sends it with these fields, as a browser would. */
export async function submitForm(
  client: RestClient,
  path: string,
  fields: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const page = (await client.get(path, { headers: BROWSER })).text()
  const action = /<form method="post" action="([^"]+)"/.exec(page)?.[1]
  if (action === undefined) throw new Error(`There is no form on ${path}: ${page}`)
  const hidden = [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)]
  const kept = Object.fromEntries(hidden.map(([, name = '', value = '']) => [name, value]))
  const body = new URLSearchParams({ ...kept, ...fields }).toString()
  return client.send('POST', action, { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
}
