import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const VALID_MS = 2 * 86_400_000
const NONCE = 12
const TAG = 16

/**
 * Where a list goes on, as clients carry it from page to page. Sealed, so that nobody can make one or read a name out of
 * one; bound to its list; good for two days. One that does not fit counts as absent, as in Quay: the list begins anew.
 */
export class PageTokens {
  readonly #key: Uint8Array

  constructor(secretKey: string) {
    this.#key = new Uint8Array(hkdfSync('sha256', secretKey, '', 'longshore page tokens', 32))
  }

  /** `list` names the list and everything that its order and content depend on. */
  seal(list: string, position: readonly (string | number)[], nowMs: number): string {
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(list))
    const text = cipher.update(JSON.stringify([nowMs, ...position]), 'utf8')
    return Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  open(list: string, token: string | undefined, nowMs: number): readonly (string | number)[] | undefined {
    if (token === undefined || token.length > 4_096) return undefined
    const bytes = Buffer.from(token, 'base64url')
    if (bytes.length < NONCE + TAG) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE), { authTagLength: TAG })
    decipher.setAAD(Buffer.from(list)).setAuthTag(bytes.subarray(bytes.length - TAG))
    try {
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE, bytes.length - TAG)), decipher.final()])
      const [madeMs, ...position] = JSON.parse(text.toString('utf8')) as (string | number)[]
      return typeof madeMs === 'number' && nowMs - madeMs < VALID_MS ? position : undefined
    } catch {
      return undefined
    }
  }
}
