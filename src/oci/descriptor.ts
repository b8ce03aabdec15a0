/** Descriptors: OCI image spec 1.1, descriptor.md. */

import { type Digest, parseDigest } from './digest.ts'
import { isMediaType } from './media-type.ts'

export type Annotations = Readonly<Record<string, string>>

/** For what an image was built. Clients write empty strings for what they do not know. */
export interface Platform {
  readonly architecture: string
  readonly os: string
  readonly variant: string | undefined
  readonly osVersion: string | undefined
}

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly urls: readonly string[]
  readonly platform: Platform | undefined
}

/** Notes what was expected at a JSON path and what was found. Returns false, so that a check can end with it. */
export type Refuse = (path: string, expected: string, found: unknown) => false

export type JsonObject = Readonly<Record<string, unknown>>

/** True for what JSON writes in braces. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** True for a field that is not there. Go programs write `null` for it, so it means the same here. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

const FIELDS = fieldNames('mediaType', 'digest', 'size', 'urls', 'annotations', 'data', 'artifactType', 'platform')

/** Reads the descriptor at `path`; undefined when it was refused. */
export function readDescriptor(value: unknown, path: string, refuse: Refuse): Descriptor | undefined {
  if (!isObject(value)) return void refuse(path, 'a descriptor (an object with mediaType, digest and size)', value)
  if (!hasExactFields(value, FIELDS, path, refuse)) return undefined
  const { mediaType, size, urls, annotations, data, artifactType, platform } = value
  const digest = typeof value.digest === 'string' ? parseDigest(value.digest) : undefined
  if (typeof mediaType !== 'string' || !isMediaType(mediaType)) {
    return void refuse(`${path}.mediaType`, 'a media type such as application/vnd.oci.image.config.v1+json', mediaType)
  }
  if (digest === undefined) {
    const expected = 'a digest, sha256: with 64 or sha512: with 128 lower-case hex digits'
    return void refuse(`${path}.digest`, expected, value.digest)
  }
  if (!isSize(size)) return void refuse(`${path}.size`, 'a number of bytes, whole and not negative', size)
  if (!isUrls(urls)) return void refuse(`${path}.urls`, 'an array of strings', urls)
  if (!isAnnotations(annotations, `${path}.annotations`, refuse)) return undefined
  if (!isAbsent(artifactType) && typeof artifactType !== 'string') {
    return void refuse(`${path}.artifactType`, 'a media type', artifactType)
  }
  if (!isPlatform(platform, `${path}.platform`, refuse)) return undefined
  if (!isAbsent(data) && !isBase64Of(data, size)) return void refuse(`${path}.data`, `${size} bytes in base64`, data)
  return { mediaType, digest, sizeBytes: size, urls: urls ?? [], platform: readPlatform(platform) }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isUrls(value: unknown): value is readonly string[] | undefined | null {
  return isAbsent(value) || (Array.isArray(value) && value.every((url) => typeof url === 'string'))
}

/** Checks annotations, which may be absent: any keys, but only strings as values. */
export function isAnnotations(value: unknown, path: string, refuse: Refuse): value is Annotations | undefined | null {
  if (isAbsent(value)) return true
  if (!isObject(value)) return refuse(path, 'an object of strings', value)
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') return refuse(`${path}[${JSON.stringify(key.slice(0, 80))}]`, 'a string', text)
  }
  return true
}

function isPlatform(value: unknown, path: string, refuse: Refuse): value is JsonObject | undefined | null {
  if (isAbsent(value)) return true
  if (!isObject(value)) return refuse(path, 'an object with architecture and os', value)
  for (const field of ['architecture', 'os', 'variant', 'os.version']) {
    const text = value[field]
    if (!isAbsent(text) && typeof text !== 'string') return refuse(`${path}.${field}`, 'a string', text)
  }
  return true
}

function readPlatform(platform: JsonObject | undefined | null): Platform | undefined {
  if (isAbsent(platform)) return undefined
  const { architecture, os, variant } = platform
  const osVersion = platform['os.version']
  return {
    architecture: typeof architecture === 'string' ? architecture : '',
    os: typeof os === 'string' ? os : '',
    variant: typeof variant === 'string' ? variant : undefined,
    osVersion: typeof osVersion === 'string' ? osVersion : undefined,
  }
}

const NOT_BASE64 = /[^A-Za-z0-9+/]/

/** Counts instead of decoding: embedded content is never used here, and may be large. */
function isBase64Of(value: unknown, sizeBytes: number): boolean {
  if (typeof value !== 'string' || value.length % 4 !== 0) return false
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0
  if ((value.length / 4) * 3 - padding !== sizeBytes) return false
  return !NOT_BASE64.test(value.slice(0, value.length - padding))
}

/** The fields that a spec gives an object. */
export interface FieldNames {
  readonly exact: ReadonlySet<string>
  readonly byFold: ReadonlyMap<string, string>
}

/** Makes the set of names for `hasExactFields`. */
export function fieldNames(...names: string[]): FieldNames {
  return { exact: new Set(names), byFold: new Map(names.map((name) => [fold(name), name])) }
}

/**
 * Refuses a key that differs from a field of the spec in case only. Readers written in Go take `Layers` for `layers`,
 * others do not, so such a document would be two images in one.
 */
export function hasExactFields(object: JsonObject, names: FieldNames, path: string, refuse: Refuse): boolean {
  for (const key of Object.keys(object)) {
    if (names.exact.has(key) || key.length > LONGEST_FIELD) continue
    const name = names.byFold.get(fold(key))
    if (name !== undefined) return refuse(path === '' ? key : `${path}.${key}`, `spelled "${name}"`, key)
  }
  return true
}

/** Longer keys cannot be meant as a field, and need no folding. */
const LONGEST_FIELD = 32

/** Both ways, because two letters outside ASCII, the long s and the sign for kelvin, fold to ASCII in one of them only. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase()
}
