import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const IV_BYTES = 16
const KEY_BYTES = 32
const BLOCK_BYTES = 16

/**
 * A password in the form that clients may keep in place of the password itself, as Quay makes it: base64 of an
 * initialisation vector and the AES-256-CBC text of `{"password": …}` under the SECRET_KEY. It opens the account only
 * here, and not for the pages. Whether it is genuine shows when the password inside is compared.
 */
export class PasswordCipher {
  readonly #key: Uint8Array

  constructor(secretKey: string) {
    this.#key = keyOf(secretKey)
  }

  encrypt(password: string): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-cbc', this.#key, iv)
    const text = cipher.update(JSON.stringify({ password }), 'utf8')
    return Buffer.concat([iv, text, cipher.final()]).toString('base64')
  }

  /** The password inside, undefined for what was not made under this key. */
  decrypt(text: string): string | undefined {
    if (!/^[A-Za-z0-9+/]{43,8192}={0,2}$/.test(text)) return undefined
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length < IV_BYTES + BLOCK_BYTES || bytes.length % BLOCK_BYTES !== 0) return undefined
    const decipher = createDecipheriv('aes-256-cbc', this.#key, bytes.subarray(0, IV_BYTES))
    try {
      const plain = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES)), decipher.final()]).toString('utf8')
      const value: unknown = JSON.parse(plain)
      const found = typeof value === 'object' && value !== null && 'password' in value ? value.password : undefined
      return typeof found === 'string' ? found : undefined
    } catch {
      return undefined
    }
  }
}

/** A number stands for its bytes and so does a UUID, anything else for its text; repeated until the key is full. */
function keyOf(secretKey: string): Uint8Array {
  const bytes = bytesOf(secretKey)
  return Uint8Array.from({ length: KEY_BYTES }, (_, at) => bytes[at % bytes.length] ?? 0)
}

function bytesOf(secretKey: string): Buffer {
  if (/^\d+$/.test(secretKey)) {
    const hex = BigInt(secretKey).toString(16)
    return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  }
  const isUuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(secretKey)
  return isUuid ? Buffer.from(secretKey.replaceAll('-', ''), 'hex') : Buffer.from(secretKey, 'utf8')
}
