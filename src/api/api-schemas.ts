/**
 * Schemas as documents of the API write them: a schema with an `$id` stands once, under that name, and everybody else
 * refers to it.
 */

export type Json = { readonly [key: string]: unknown }

export interface SchemaWriter {
  /** The schema as it stands in a document. */
  write(schema: unknown): Json
  /** Every schema with a name that was met so far, by name. */
  readonly named: Readonly<Record<string, Json>>
}

/** Writes JSON Schema as it is, for OpenAPI 3.1. */
export function openApiSchemas(): SchemaWriter {
  return writer('#/components/schemas/', (schema) => schema)
}

/**
 * Writes what Swagger 2.0 can say: no `null`, no unions but of constants. What it cannot say becomes any value, which no
 * client refuses.
 */
export function swaggerSchemas(): SchemaWriter {
  return writer('#/definitions/', simplified)
}

function writer(prefix: string, translate: (schema: Json) => Json): SchemaWriter {
  const named: Record<string, Json> = {}
  const write = (given: unknown): Json => {
    if (!isJson(given)) return {}
    const { $id: name, ...schema } = given
    if (typeof name !== 'string') return translate(parts(schema, write))
    if (named[name] === undefined) {
      // First the name, then the schema, which may refer to itself.
      named[name] = {}
      named[name] = translate(parts(schema, write))
    }
    return { $ref: `${prefix}${name}` }
  }
  return { write, named }
}

/** The same schema with everything inside of it written as well. */
function parts(schema: Json, write: (schema: unknown) => Json): Json {
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties' || key === 'patternProperties') result[key] = each(value, write)
    else if (key === 'items' || key === 'additionalProperties') result[key] = isJson(value) ? write(value) : value
    else if (key === 'anyOf' || key === 'allOf' || key === 'oneOf') result[key] = listOf(value).map(write)
    else result[key] = value
  }
  return result
}

function each(value: unknown, write: (schema: unknown) => Json): Json {
  return isJson(value) ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, write(part)])) : {}
}

function simplified(schema: Json): Json {
  if ('const' in schema) return { type: typeof schema['const'], enum: [schema['const']] }
  const { patternProperties, anyOf, ...rest } = schema
  if (isJson(patternProperties)) return { ...rest, additionalProperties: Object.values(patternProperties)[0] ?? {} }
  if (anyOf === undefined) return rest['type'] === 'null' ? {} : rest
  const choices = listOf(anyOf).filter(isJson)
  const some = choices.filter((choice) => Object.keys(choice).length > 0)
  const nullable = some.length < choices.length ? { 'x-nullable': true } : {}
  if (some.length === 1) return '$ref' in (some[0] ?? {}) ? (some[0] ?? {}) : { ...some[0], ...nullable }
  const values = some.map((choice) => listOf(choice['enum']))
  if (some.length > 0 && values.every((list) => list.length === 1))
    return { type: 'string', enum: values.flat(), ...nullable }
  return {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
