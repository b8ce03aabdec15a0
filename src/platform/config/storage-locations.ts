import { nearestName } from './nearest.ts'
import { quoted } from './problem.ts'
import { type Fail, kindOf, type ValueType } from './value-type.ts'

/** One place where bytes are kept. `path` may be relative until the data directory is known. */
export interface StorageLocation {
  readonly engine: 'LocalStorage'
  readonly path: string
}

export type StorageLocations = Readonly<Record<string, StorageLocation>>

const quayEngines = new Set([
  'AkamaiS3Storage',
  'AzureStorage',
  'CloudFlareStorage',
  'CloudFrontedS3Storage',
  'FakeStorage',
  'GoogleCloudStorage',
  'IBMCloudStorage',
  'MultiCDNStorage',
  'RHOCSStorage',
  'RadosGWStorage',
  'S3Storage',
  'STSS3Storage',
  'SwiftStorage',
])
const shape =
  'Write a map of names to engine and options: {default: [LocalStorage, {storage_path: /var/lib/longshore/storage}]}.'

/** Quay's map of location names to `[engine, options]`. Options of other engines hold secrets and are never quoted. */
export const storageLocations: ValueType<StorageLocations> = {
  label: 'map of locations',
  structured: true,
  schema: {
    type: 'object',
    minProperties: 1,
    propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' },
    additionalProperties: {
      type: 'array',
      prefixItems: [
        { const: 'LocalStorage' },
        {
          type: 'object',
          properties: { storage_path: { type: 'string', minLength: 1 } },
          required: ['storage_path'],
          additionalProperties: false,
        },
      ],
      items: false,
      minItems: 2,
    },
  },
  read({ value }, fail) {
    if (!isMap(value) || Object.keys(value).length === 0) {
      fail(`The value is ${isMap(value) ? 'an empty map' : kindOf(value)}. ${shape}`)
      return undefined
    }
    const found: [string, StorageLocation][] = []
    for (const [name, entry] of Object.entries(value)) {
      const location = readLocation(name, entry, fail)
      if (location) found.push([name, location])
    }
    return found.length === Object.keys(value).length ? Object.fromEntries(found) : undefined
  },
}

function readLocation(name: string, entry: unknown, fail: Fail): StorageLocation | undefined {
  const refuse = (message: string, ...path: (string | number)[]) => {
    fail(message, [name, ...path])
    return undefined
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) {
    return refuse(`${quoted(name)} is not a name for a location. Use up to 64 letters, digits, "_" and "-".`)
  }
  if (!Array.isArray(entry)) return refuse(`The location ${name} is ${kindOf(entry)}. ${shape}`)
  const [engine, options, ...rest]: unknown[] = entry
  if (engine !== 'LocalStorage') return refuse(refuseEngine(name, engine), 0)
  if (!isMap(options)) return refuse(`The options of location ${name} are ${kindOf(options)}. ${shape}`, 1)
  if (rest.length > 0) return refuse(`The location ${name} has more than an engine and its options. ${shape}`, 2)
  const unknown = Object.keys(options).find((option) => option !== 'storage_path')
  if (unknown !== undefined) {
    return refuse(`LocalStorage has no option ${quoted(unknown)}. Its only option is storage_path.`, 1, unknown)
  }
  const path = options['storage_path']
  if (typeof path === 'string' && path !== '') return { engine, path }
  return refuse(`The location ${name} has no folder. Write storage_path: and a path.`, 1, 'storage_path')
}

function refuseEngine(name: string, engine: unknown): string {
  if (typeof engine !== 'string') return `The engine of location ${name} is ${kindOf(engine)}. ${shape}`
  if (quayEngines.has(engine)) {
    return `The engine ${engine} of location ${name} is not supported by this release. Use LocalStorage, the only engine so far.`
  }
  const nearest = nearestName(engine, ['LocalStorage'])
  return `The engine of location ${name} is not known${nearest ? `; ${nearest} is near` : ''}. This release has LocalStorage.`
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
