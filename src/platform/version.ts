import { readFileSync } from 'node:fs'

/** The version of this release, as package.json has it. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  const found: unknown =
    typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined
  return typeof found === 'string' ? found : 'unknown'
}
