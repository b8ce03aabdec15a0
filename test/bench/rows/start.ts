import { atMost, type Row } from '../support/row.ts'

/** From the start of the process to its first answer, on data that is there already. Go wins here. */
export const start: Row = {
  name: 'start',
  unit: 'start of the process to its first answer',
  metrics: [{ key: 'ms', unit: 'ms', better: 'lower' }],
  required: [atMost('ms', 500)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    const subjects = { peer: await bench.ownPeer('peer-start'), ours: await bench.ownServer('ours-start') }
    return async ({ side }) => {
      await subjects[side].stop()
      return { ms: await subjects[side].start() }
    }
  },
}
