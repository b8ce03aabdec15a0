import { type Key, keys } from './keys.ts'
import { quayKeys } from './quay-keys.ts'
import type { JsonSchema } from './value-type.ts'

/**
 * A JSON Schema (2020-12) of the configuration file, for editors and pipelines. It knows the same keys as the server;
 * what only shows when keys meet, such as a certificate without its key, is left to `config check`.
 */
export function configSchema(): JsonSchema {
  const honoured = Object.values<Key<unknown>>(keys).map((key): [string, JsonSchema] => [key.name, describe(key)])
  const honouredNames = new Set(honoured.map(([name]) => name))
  const ignored = [...quayKeys]
    .filter((name) => !honouredNames.has(name))
    .map((name): [string, JsonSchema] => [name, { description: ignoredText, deprecated: true }])
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Longshore configuration',
    type: ['object', 'null'],
    properties: Object.fromEntries([...honoured, ...ignored]),
    patternProperties: { '^[A-Z][A-Z0-9_]*_LOGIN_CONFIG$': { description: ignoredText, deprecated: true } },
    additionalProperties: false,
  }
}

const ignoredText = 'A key of Quay that this release does not honour. It is ignored with a warning.'

function describe(key: Key<unknown>): JsonSchema {
  const description = key.type.range === undefined ? key.help : `${key.help} Range: ${key.type.range}.`
  const schema = {
    description,
    ...(key.fallback === undefined ? {} : { default: key.fallback }),
    ...(key.type.redact ? { writeOnly: true } : {}),
  }
  // A key that is written without a value counts as not set.
  return { ...schema, anyOf: [key.type.schema, { type: 'null' }] }
}
