import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { manifestOf, type Place, placeIn, pushBlob, putManifest } from '../support/content.ts'
import { atMost, type Row } from '../support/row.ts'
import { median } from '../support/statistics.ts'
import { traceFlushes } from '../support/strace.ts'

const IMAGES = 5

/** How often an image of two blobs makes the server wait for the disk, and how often it flushes later on its own. */
export const flushes: Row = {
  name: 'flushes',
  unit: 'flushes to disk for an image of two blobs and a manifest',
  metrics: [
    { key: 'put', unit: 'flushes, POST and PUT', better: 'lower' },
    { key: 'patch', unit: 'flushes, POST, PATCH and PUT', better: 'lower' },
    { key: 'most', unit: 'flushes, the worst image', better: 'lower' },
    { key: 'background', unit: 'flushes per image behind the answers', better: 'lower' },
  ],
  required: [atMost('put', 8), atMost('patch', 8)],
  sides: ['peer', 'ours'],
  rounds: 2,
  async prepare(bench) {
    for (const side of this.sides) await bench.subject(side)
    return async (subject, round) => {
      const place = await placeIn(subject, 'bench/flushes')
      const spans: { form: 'put' | 'patch'; fromMs: number; toMs: number }[] = []
      const trace = await traceFlushes(subject.pid, join(bench.dir, `flushes-${subject.side}.txt`))
      for (const form of ['put', 'patch'] as const) {
        for (let i = 0; i < IMAGES; i++) {
          const fromMs = wallMs()
          await pushImage(place, form, `${form}-${round + 1}-${i}`)
          spans.push({ form, fromMs, toMs: wallMs() })
          // What the server does behind its answers shall not be counted for the next image.
          await sleep(700)
        }
      }
      const times = await trace.stop()
      const within = (span: { fromMs: number; toMs: number }) =>
        times.filter((ms) => ms >= span.fromMs && ms <= span.toMs).length
      const counts = { put: spans.filter((s) => s.form === 'put'), patch: spans.filter((s) => s.form === 'patch') }
      const all = spans.map(within)
      return {
        put: median(counts.put.map(within)),
        patch: median(counts.patch.map(within)),
        most: Math.max(...all),
        background: (times.length - all.reduce((sum, count) => sum + count, 0)) / spans.length,
      }
    }
  },
}

/** The clock of strace, finer than a millisecond. */
function wallMs(): number {
  return performance.timeOrigin + performance.now()
}

async function pushImage(place: Place, form: 'put' | 'patch', tag: string): Promise<void> {
  const config = await pushBlob(place, 1024, form)
  const layer = await pushBlob(place, 100_000, form)
  await putManifest(place, tag, manifestOf(config, [layer], tag))
}
