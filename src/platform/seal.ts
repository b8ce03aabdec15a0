import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Encrypts what the database must keep but may not know: AES-256-GCM under a key that is derived from the
 * DATABASE_SECRET_KEY for one purpose. The form is one byte of version, the nonce, the cipher text and the tag.
 */
export class Seal {
  readonly #key: Uint8Array

  constructor(databaseSecretKey: string, purpose: string) {
    this.#key = new Uint8Array(hkdfSync('sha256', databaseSecretKey, '', `longshore ${purpose}`, 32))
  }

  /** `context` is not stored, but must be the same to open it: so a sealed value cannot be moved to another row. */
  close(plain: Uint8Array, context: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(context))
    return Uint8Array.from(
      Buffer.concat([[VERSION], nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()].map(bytesOf)),
    )
  }

  /** Undefined when it was sealed under another key or for another context, or has been changed. */
  open(sealed: Uint8Array, context: string): Uint8Array | undefined {
    if (sealed[0] !== VERSION || sealed.byteLength < 1 + NONCE_BYTES + TAG_BYTES) return undefined
    const nonce = sealed.subarray(1, 1 + NONCE_BYTES)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(sealed.byteLength - TAG_BYTES))
    try {
      const text = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.byteLength - TAG_BYTES))
      return Buffer.concat([text, decipher.final()])
    } catch {
      return undefined
    }
  }
}

function bytesOf(part: Uint8Array | readonly number[]): Uint8Array {
  return Uint8Array.from(part)
}
