import { send } from '../../support/client.ts'
import type { Subject } from './subject.ts'

/** The metrics of our server without labels, by name. @throws Error when it serves none. */
export async function scrape({ host, metricsPort }: Subject): Promise<ReadonlyMap<string, number>> {
  if (metricsPort === undefined) throw new Error('This server has no metrics')
  const answer = await send(`http://${host}:${metricsPort}`, 'GET', '/metrics')
  if (answer.status !== 200) throw new Error(`Metrics were answered ${answer.status}: ${answer.text()}`)
  const lines = answer.text().matchAll(/^([a-z_]\w*) (\S+)$/gim)
  return new Map([...lines].map(([, name, value]) => [name ?? '', Number(value)]))
}
