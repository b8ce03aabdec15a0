/** Opens the database at the path given and loses its writer thread: must not outlive that. */
import { openSqlite } from '../../src/db/sqlite.ts'
import { modules } from './dying-transactions.ts'

const modulesUrl = new URL('./dying-transactions.ts', import.meta.url).href
const db = await openSqlite({ path: process.argv[2] ?? '', modules, modulesUrl })
await db.transaction(modules.dying.nothing, {})
console.log('serving')
await db.transaction(modules.dying.endThread, {}).catch(() => console.log('refused'))
await new Promise((resolve) => setTimeout(resolve, 60_000))
