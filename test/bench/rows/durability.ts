import { push } from '../support/blob-rows.ts'
import { placeIn, verifyBlob } from '../support/content.ts'
import { atMost, type Row } from '../support/row.ts'

/** Our server is killed and started again, then gives back a sample of all that it had acknowledged in this run. */
export const durability: Row = {
  name: 'durability',
  unit: 'acknowledged blobs after kill -9 and a restart',
  metrics: [
    { key: 'read', unit: 'blobs read back', better: 'higher' },
    { key: 'lost', unit: 'lost or changed', better: 'lower' },
  ],
  required: [atMost('lost', 0)],
  sides: ['ours'],
  rounds: 1,
  warmUp: false,
  async prepare(bench) {
    const ours = await bench.ours()
    return async () => {
      // Right behind the last 201: an answer that ran ahead of its commit would be caught. Pages that were written stay
      // with the kernel, so this is no power cut; the row `flushes` and the tests of the storage look at that.
      const place = await placeIn(ours, 'bench/durability')
      const { digests } = await push(place, { sizeBytes: 1024, streams: 8, count: 64, form: 'patch' })
      const last = digests.map((digest) => ({ subject: ours, repository: place.repository, digest }))
      await ours.stop('SIGKILL')
      await ours.start()
      let lost = 0
      const all = [...bench.ledger, ...last].filter(({ subject }) => subject.side === 'ours')
      for (const { subject, repository, digest } of all) {
        await verifyBlob(await placeIn(subject, repository), digest).catch((error: Error) => {
          console.log(error.message)
          lost++
        })
      }
      return { read: all.length, lost }
    }
  },
}
