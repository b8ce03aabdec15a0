/** A process that logs pulls until a fault kills it. Started by `spool.test.ts` with one JSON argument. */
import { writeSync } from 'node:fs'
import { openPullSpool } from '../../src/audit/spool.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { silentLog } from '../../src/platform/log.ts'
import { type DatabasePlace, openDatabase } from './databases.ts'

interface Order {
  readonly place: DatabasePlace
  readonly dir: string
  readonly rounds: number
  readonly perRound: number
}

const order: Order = JSON.parse(process.argv[2] ?? '')
const db = await openDatabase(order.place)
const spool = await openPullSpool({ dir: order.dir, db, clock: systemClock, log: silentLog, flushMs: 3_600_000 })
for (let round = 0; round < order.rounds; round++) {
  for (let n = 0; n < order.perRound; n++) {
    spool.record({
      kind: 'pull_repo',
      namespaceId: 1,
      repositoryId: 1,
      actor: { kind: 'anonymous', name: 'anonymous' },
      address: '192.0.2.1',
      occurredMs: 1_800_000_000_000,
      metadata: { seq: round * order.perRound + n },
    })
  }
  await spool.flush()
  // What is said here is the ledger: the parent reads how many events were acknowledged before the end.
  writeSync(1, `${(round + 1) * order.perRound}\n`)
}
await spool.close()
await db.close()
