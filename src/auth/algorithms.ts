import { createHash, generateKeyPair, type KeyObject, sign, verify, type webcrypto } from 'node:crypto'
import { promisify } from 'node:util'

export type Jwk = webcrypto.JsonWebKey
export type TokenAlgorithm = 'ES256' | 'EdDSA' | 'RS256'

interface Algorithm {
  /** Undefined where the kind of key decides. */
  readonly hash: 'sha256' | undefined
  readonly signatureBytes: number
  /** Members of a public JWK that identify the key, in the order of their names (RFC 7638). */
  readonly members: readonly (keyof Jwk)[]
}

const algorithms: Readonly<Record<TokenAlgorithm, Algorithm>> = {
  ES256: { hash: 'sha256', signatureBytes: 64, members: ['crv', 'kty', 'x', 'y'] },
  EdDSA: { hash: undefined, signatureBytes: 64, members: ['crv', 'kty', 'x'] },
  RS256: { hash: 'sha256', signatureBytes: 256, members: ['e', 'kty', 'n'] },
}

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const generate = promisify(generateKeyPair)

/** Off the event loop: an RSA key takes a tenth of a second or more. */
export function generateKeys(algorithm: TokenAlgorithm): Promise<KeyPair> {
  if (algorithm === 'ES256') return generate('ec', { namedCurve: 'P-256' })
  if (algorithm === 'EdDSA') return generate('ed25519')
  return generate('rsa', { modulusLength: 2048 })
}

export function isTokenAlgorithm(name: string): name is TokenAlgorithm {
  return Object.hasOwn(algorithms, name)
}

/** The public key for strangers, with its id: the thumbprint of RFC 7638, which is the same wherever it is computed. */
export function publicJwkOf(publicKey: KeyObject, algorithm: TokenAlgorithm): Jwk & { readonly kid: string } {
  const exported = publicKey.export({ format: 'jwk' })
  const identifying: Jwk = Object.fromEntries(algorithms[algorithm].members.map((name) => [name, exported[name]]))
  const kid = createHash('sha256').update(JSON.stringify(identifying)).digest('base64url')
  return { ...identifying, kid, alg: algorithm, use: 'sig' }
}

/** The signature in the form that JWTs use, base64url. */
export function signText(algorithm: TokenAlgorithm, key: KeyObject, text: string): string {
  const { hash } = algorithms[algorithm]
  // Node signs with ASN.1 unless told; for other kinds of keys the encoding has no meaning.
  return sign(hash, Buffer.from(text, 'latin1'), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

/** False also for a signature that is not in its one correct form. */
export function verifyText(algorithm: TokenAlgorithm, key: KeyObject, text: string, signature: string): boolean {
  const { hash, signatureBytes } = algorithms[algorithm]
  const bytes = Buffer.from(signature, 'base64url')
  if (bytes.byteLength !== signatureBytes || bytes.toString('base64url') !== signature) return false
  try {
    return verify(hash, Buffer.from(text, 'latin1'), { key, dsaEncoding: 'ieee-p1363' }, bytes)
  } catch {
    return false
  }
}
