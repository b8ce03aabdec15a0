import fc from 'fast-check'
import { type BodyDraft, carefulBody, formBody, wildBody } from './bodies.ts'
import type { Operation } from './document.ts'
import type { Pools } from './known.ts'
import { FORGED_HOST, rawSegments } from './strings.ts'
import { type Manner, queryValueOf, textFor } from './values.ts'

/** A request before the names of the server stand in it. */
export interface RequestDraft {
  readonly operation: Operation
  readonly method: string
  readonly segments: Readonly<Record<string, Segment>>
  readonly query: readonly (readonly [string, string])[]
  readonly rawQuery: string
  readonly slash: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly body: BodyDraft | undefined
  /** Sent twice at the same time, as by somebody who clicks twice. */
  readonly twice: boolean
}

interface Segment {
  readonly text: string
  /** `raw`: as it stands. `slashes`: encoded, but for slashes. */
  readonly encoding: 'encoded' | 'slashes' | 'raw'
}

export interface FuzzRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
}

const oddHeaders: readonly Readonly<Record<string, string>>[] = [
  { 'x-http-method-override': 'DELETE' },
  { 'x-forwarded-host': FORGED_HOST, 'x-forwarded-proto': 'https', forwarded: `host=${FORGED_HOST}` },
  { host: FORGED_HOST },
  { 'x-forwarded-for': '::1, 999.1.1.1, evil' },
  { 'x-original-url': '/api/v1/superuser/users/', 'x-rewrite-url': '/api/v1/superuser/users/' },
  { origin: `https://${FORGED_HOST}`, referer: `https://${FORGED_HOST}/` },
  { origin: 'null' },
  { accept: 'text/html' },
  { accept: 'image/webp;q=2, */*;q=-1' },
  { 'accept-language': `de-${'x'.repeat(500)}` },
  { range: 'bytes=0-0' },
  { 'if-none-match': '*', 'if-match': '"x"' },
  { 'content-encoding': 'gzip' },
  { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' },
  { 'x-request-id': '../../etc/passwd' },
  { 'x-csrf-token': 'x' },
  { authorization: 'Bearer' },
  { authorization: `Bearer ${'A'.repeat(40)}` },
  { authorization: 'Basic !!!' },
  { authorization: `Basic ${Buffer.from('owner:wrong').toString('base64')}` },
  { cookie: '_csrf_token=; _csrf_token=x; a=b' },
  { cookie: `_csrf_token=${'A'.repeat(43)}` },
  { expect: '100-continue' },
  { te: 'trailers', upgrade: 'h2c' },
  { 'x-strange': '\u00ff\u00fe\t\u0080' },
]
const rawQueries = [
  '%',
  '%zz=1',
  'limit=1&limit=2',
  'limit[]=1',
  '_csrf_token=x',
  '=',
  '&&&',
  'a'.repeat(5_000),
  '?',
  'page=%00',
]

const seldom = fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })

/** Calls of one operation: some as a client of ours would make them, the others with anything in any place. */
export function requestDraft(operation: Operation): fc.Arbitrary<RequestDraft> {
  return fc.oneof({ weight: 2, arbitrary: carefulDraft(operation) }, { weight: 3, arbitrary: wildDraft(operation) })
}

function carefulDraft(operation: Operation): fc.Arbitrary<RequestDraft> {
  return fc
    .record({
      segments: segmentsOf(operation, (name) =>
        fc.record({ text: textFor(name, 'careful', 'path'), encoding: encodingOf(name) }),
      ),
      query: someOf(
        operation.query.map(({ name, schema }) => pair(name, queryValueOf(schema, name, 'careful'))),
        5,
      ),
      slash: fc.boolean(),
      body: operation.body === undefined ? fc.constant(undefined) : bodyOf(operation, 'careful'),
      twice: seldom,
    })
    .map((parts) => ({ operation, method: operation.method, rawQuery: '', headers: {}, ...parts }))
}

function wildDraft(operation: Operation): fc.Arbitrary<RequestDraft> {
  const segment = (name: string): fc.Arbitrary<Segment> =>
    fc.oneof(
      { weight: 9, arbitrary: fc.record({ text: textFor(name, 'wild', 'path'), encoding: encodingOf(name) }) },
      { weight: 1, arbitrary: fc.record({ text: fc.constantFrom(...rawSegments), encoding: fc.constant('raw') }) },
    )
  const queries = operation.query.flatMap(({ name, schema }) => [
    pair(name, queryValueOf(schema, name, 'wild')),
    pair(name, queryValueOf(schema, name, 'wild')),
  ])
  const someBody = operation.body === undefined ? 1 : 9
  return fc
    .record({
      // Not DELETE: at the same path as many others there is the one that deletes the caller.
      method: fc.oneof(
        { weight: 20, arbitrary: fc.constant(operation.method) },
        { weight: 1, arbitrary: fc.constantFrom('HEAD', 'PATCH', 'PUT') },
      ),
      segments: segmentsOf(operation, segment),
      query: someOf([...queries, pair('unknown', textFor('query', 'wild'))], 2),
      rawQuery: fc.oneof(
        { weight: 9, arbitrary: fc.constant('') },
        { weight: 1, arbitrary: fc.constantFrom(...rawQueries) },
      ),
      slash: fc.boolean(),
      headers: fc.oneof(
        { weight: 3, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: fc.constantFrom(...oddHeaders) },
      ),
      body: fc.oneof(
        { weight: 1, arbitrary: fc.constant(undefined) },
        { weight: someBody, arbitrary: bodyOf(operation, 'wild') },
      ),
      twice: seldom,
    })
    .map((parts) => ({ operation, ...parts }))
}

function bodyOf({ form, body = {} }: Operation, manner: Manner): fc.Arbitrary<BodyDraft> {
  if (form !== undefined) return formBody(form, manner)
  return manner === 'careful' ? carefulBody(body) : wildBody(body)
}

/** The request with the names of a server in it. */
export function requestOf(draft: RequestDraft, pools: Pools): FuzzRequest {
  const { operation, query, rawQuery, slash, body } = draft
  const path = operation.path.replace(/(.)\/$/, '$1').replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const { text = '', encoding = 'raw' } = draft.segments[name] ?? {}
    if (encoding === 'raw') return text
    const encoded = encode(pools.fill(text))
    return encoding === 'slashes' ? encoded.replaceAll('%2F', '/') : encoded
  })
  const pairs = query.map(([name, value]) => `${encode(name)}=${encode(pools.fill(value))}`)
  const asked = [...pairs, ...(rawQuery === '' ? [] : [rawQuery])].join('&')
  const type = body?.contentType
  return {
    method: draft.method,
    path: `${path}${slash && path.startsWith('/api/') ? '/' : ''}${asked === '' ? '' : `?${asked}`}`,
    // An empty type counts as one that was sent; none at all cannot be told from a client that forgot it.
    headers: { ...draft.headers, ...(body !== undefined && { 'content-type': type ?? '' }) },
    body: body && contentOf(body, pools),
  }
}

function contentOf({ text, fields, bytes }: BodyDraft, pools: Pools): string | Uint8Array {
  if (bytes !== undefined) return bytes
  if (fields === undefined) return pools.fill(text, (name) => JSON.stringify(name).slice(1, -1))
  return fields.map(([name, value]) => `${encode(name)}=${encode(pools.fill(value))}`).join('&')
}

function segmentsOf(
  { path }: Operation,
  segment: (name: string) => fc.Arbitrary<Segment>,
): fc.Arbitrary<Record<string, Segment>> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '')
  return fc.record(Object.fromEntries(names.map((name) => [name, segment(name)])), { noNullPrototype: true })
}

/** A repository is sent with slashes or without: both are its name. */
function encodingOf(name: string): fc.Arbitrary<Segment['encoding']> {
  return name === 'repository' ? fc.constantFrom('encoded', 'slashes') : fc.constant('encoded')
}

function pair(name: string, value: fc.Arbitrary<string>): fc.Arbitrary<readonly [string, string]> {
  return value.map((text) => [name, text] as const)
}

/** One of `oneMissingOf` is left out. */
function someOf(pairs: readonly fc.Arbitrary<readonly [string, string]>[], oneMissingOf: number) {
  return fc
    .tuple(...pairs.map((one) => fc.option(one, { freq: oneMissingOf, nil: undefined })))
    .map((drawn) => drawn.filter((one) => one !== undefined))
}

/** As a client encodes; half a character, which none can, goes out as the bytes that it would have. */
function encode(text: string): string {
  return text
    .split(/([\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff])/)
    .map((part) => (part.isWellFormed() ? encodeURIComponent(part) : '%ED%A0%80'))
    .join('')
}
