/**
 * Counts how often a password is compared with its hash in this process. Imported before anything else
 * (`import '../../support/hashes.ts'` on the first line), so that the product gets the library with the counter in it.
 */
import { createRequire } from 'node:module'

interface Argon2 {
  verify(...args: readonly unknown[]): Promise<boolean>
}
const argon2: Argon2 = createRequire(import.meta.url)('@node-rs/argon2')
const { verify } = argon2
let count = 0
argon2.verify = (...args) => {
  count++
  return verify(...args)
}

/** Comparisons while `work` runs. */
export async function countHashes(work: () => Promise<unknown>): Promise<number> {
  const before = count
  await work()
  return count - before
}
