import fc from 'fast-check'
import type { Schema } from './document.ts'
import { known } from './known.ts'
import { hostileTexts } from './strings.ts'

/** `careful`: what a client that knows the server would send, as far as a schema and the name of a field tell. */
export type Manner = 'careful' | 'wild'

/** Where the name of a parameter or field tells what it is for. What is not listed is a name of anything. */
const meanings: Readonly<Record<string, readonly string[]>> = {
  redirect_uri: ['https://app.example.test/done', 'https://app.example.test/done/there'],
  response_type: ['code', 'token'],
  grant_type: ['authorization_code'],
  code_challenge: ['a'.repeat(43)],
  code_verifier: ['a'.repeat(43)],
  state: ['a state'],
  format: ['json'],
  answer: ['accept', 'decline'],
  next: ['/', '/user?a=b'],
  application_uri: ['https://app.example.test/', 'app'],
  scope: ['repo:read', 'repo:read repo:write', 'user:read,org:admin'],
  password: ['correct-horse-battery', 'a-long-enough-word'],
  adminPassword: ['correct-horse-battery', 'not-the-password'],
  service: ['builder', 'proxy'],
  description: ['What it is for', '# A *text*\n\n- with `markup`', 'x'.repeat(1_000), ''],
  content: ['A message for everybody', 'x'.repeat(500)],
  title: ['laptop', 'x'.repeat(200)],
  notes: ['Approved by hand'],
  repo_kind: ['image'],
}
const emails = ['email', 'contact_email', 'avatar_email', 'invoice_email_address']
const freshNames = ['name', 'repository', 'username', 'adminUser', 'robot_shortname', 'teamname']
const numbers = [0, 86_400, 1_209_600, 2_000_000_000]
const strangeNumbers = [...numbers, -0, 1, -1, 1.5, 4e9, 2 ** 31, 1e12, 8.64e15, 2 ** 53, -1e15, 1e21, 1e308, 5e-324]

/** A text for a field or parameter of this name. In a path it is more often the name of something that is there. */
export function textFor(field: string, manner: Manner, place?: 'path'): fc.Arbitrary<string> {
  const meant = meanings[field]
  const ordinary = emails.includes(field)
    ? fc.oneof(known('email', 'any'), fc.constant('Ann.Other+x@lumen.example.test'))
    : meant !== undefined
      ? fc.constantFrom(...meant)
      : freshNames.includes(field)
        ? fc.oneof(
            { weight: place === 'path' ? 5 : 1, arbitrary: known(field, 'own') },
            { weight: 1, arbitrary: known('fresh', 'any') },
          )
        : known(field, 'own')
  if (manner === 'careful') return ordinary
  return fc.oneof(
    { weight: 4, arbitrary: ordinary },
    { weight: 3, arbitrary: known(field, 'any') },
    { weight: 2, arbitrary: fc.constantFrom(...hostileTexts) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  )
}

/** A value that the schema allows. */
export function fittingValue(schema: Schema, field: string, manner: Manner): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema['const'])
  const { anyOf, type } = schema
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...schema['enum'])
  if (Array.isArray(anyOf)) return fc.oneof(...anyOf.map((one) => fittingValue(asSchema(one), field, manner)))
  if (type === 'string') return textFor(field, manner)
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  if (type === 'integer' || type === 'number') return numberOf(schema, manner)
  if (type === 'object') return objectOf(schema, manner)
  if (type === 'array') return fc.array(fittingValue(asSchema(schema['items'] ?? {}), field, manner), { maxLength: 5 })
  if (type === undefined) return manner === 'careful' ? fc.constantFrom('a value', 7, null) : fc.jsonValue()
  throw new Error(`The generator does not know the type ${String(type)}: teach it`)
}

function numberOf({ type, minimum }: Schema, manner: Manner): fc.Arbitrary<number> {
  const least = typeof minimum === 'number' ? minimum : Number.NEGATIVE_INFINITY
  const some = manner === 'careful' ? numbers : strangeNumbers
  return fc.constantFrom(...some.filter((one) => one >= least && (type === 'number' || Number.isInteger(one))))
}

function objectOf(schema: Schema, manner: Manner): fc.Arbitrary<unknown> {
  const { required, properties, additionalProperties } = schema
  if (properties === undefined && typeof additionalProperties !== 'object') return fc.constant({})
  if (properties === undefined) {
    const keys = manner === 'careful' ? fc.constantFrom('team', 'cost') : fc.constantFrom('team', ...hostileTexts)
    return fc.dictionary(keys, manner === 'careful' ? fc.constantFrom('ops', 7) : fc.jsonValue(), {
      maxKeys: 4,
      noNullPrototype: true,
    })
  }
  const fields = Object.entries(asSchema(properties)).map(([name, one]): [string, fc.Arbitrary<unknown>] => [
    name,
    fittingValue(asSchema(one), name, manner),
  ])
  return fc.record(Object.fromEntries(fields), {
    requiredKeys: fields.map(([name]) => name).filter((name) => Array.isArray(required) && required.includes(name)),
    noNullPrototype: true,
  })
}

/** A value of a query, as text: one that the schema allows, or any other. */
export function queryValueOf(schema: Schema, name: string, manner: Manner): fc.Arbitrary<string> {
  const { type } = schema
  const fitting =
    type === 'boolean'
      ? fc.constantFrom('true', 'false', '1', '0')
      : type === 'integer'
        ? fc.constantFrom('1', '2', '10', '100')
        : textFor(name, manner)
  if (manner === 'careful') return fitting
  const strange = fc.constantFrom('', '-1', '0', '99999999999999999999', '1.5', '0x10', 'many', '１', ...hostileTexts)
  return fc.oneof({ weight: 3, arbitrary: fitting }, { weight: 2, arbitrary: strange })
}

function asSchema(value: unknown): Schema {
  if (typeof value !== 'object' || value === null) throw new Error('A schema of the document is no object')
  return value as Schema
}
