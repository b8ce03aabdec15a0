import { messageRefusal } from './rest-errors.ts'
import type { ApiServices } from './services.ts'

/** Of a namespace that has not chosen a window of its own, the installation's; in seconds, as the API writes it. */
export function tagExpirationSeconds({ config }: ApiServices, tagWindowMs: number | null): number {
  return Math.floor((tagWindowMs ?? config.tags.defaultExpirationMs) / 1000)
}

/** The window that was chosen, in milliseconds. @throws RestRefusal when the installation does not offer it. */
export function chosenTagWindow({ config }: ApiServices, seconds: number | undefined): number | undefined {
  if (seconds === undefined) return undefined
  const options = config.tags.expirationOptions
  if (options.includes(seconds * 1000)) return seconds * 1000
  const offered = options.map((ms) => ms / 1000).join(', ')
  throw messageRefusal(400, `The time machine can be set to one of these seconds: ${offered}.`)
}
