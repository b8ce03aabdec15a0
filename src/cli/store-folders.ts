import { readdirSync } from 'node:fs'

/** A store on disk has a folder for each first two digits of a key. */
const FOLDERS = 256

/**
 * Sees to it that a store which is only looked at is there: opening one makes what is missing, and an empty store in the
 * place of a disk that is not mounted would look like the loss of everything.
 * @throws Error with a sentence for the operator.
 */
export function refuseMissingStore(location: string, path: string): void {
  const folders = namesIn(path)?.filter((name) => /^[0-9a-f]{2}$/.test(name)).length
  if (folders === FOLDERS) return
  const reason =
    folders === undefined ? 'There is no such folder' : `It has ${folders} of the ${FOLDERS} folders of one`
  throw new Error(
    `There is no store at ${path}, where DISTRIBUTED_STORAGE_CONFIG has the location ${location}. ${reason}. Check --data and that configuration, and whether the disk is mounted. Nothing was made or changed.`,
  )
}

function namesIn(path: string): string[] | undefined {
  try {
    return readdirSync(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
