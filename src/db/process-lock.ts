import { DatabaseSync } from 'node:sqlite'

/** A lock on a file that ends with the process that holds it, however that ends. */
export interface ProcessLock {
  /** False once it was given back. */
  readonly isOpen: boolean
  close(): void
}

/**
 * Takes the lock, or returns undefined when another process has it. It is an exclusive transaction on an empty database
 * file: Node has no file locks of its own, and a file with a process id in it lies after a crash.
 */
export function tryProcessLock(path: string): ProcessLock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('begin exclusive')
    return database
  } catch {
    database.close()
    return undefined
  }
}
