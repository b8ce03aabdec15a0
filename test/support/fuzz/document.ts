import { Compile, type Validator } from 'typebox/compile'

/** A schema as the document writes it, with every reference put in its place. */
export type Schema = Readonly<Record<string, unknown>>

export interface Operation {
  readonly id: string
  readonly method: string
  /** With `{names}`. */
  readonly path: string
  readonly query: readonly { readonly name: string; readonly schema: Schema }[]
  readonly body: Schema | undefined
  /** The names of its fields, where the body is a form. */
  readonly form?: readonly string[]
  /** For a person in a browser: also what it refuses may be a page. */
  readonly page?: boolean
  /** By status; undefined: no body. */
  readonly answers: ReadonlyMap<number, Validator | undefined>
}

const METHODS = ['get', 'post', 'put', 'delete']

/** The operations of an OpenAPI 3.1 document of ours. */
export function operationsOf(document: unknown): Operation[] {
  const root = recordOf(document)
  const operations: Operation[] = []
  for (const [path, item] of Object.entries(recordOf(root['paths']))) {
    for (const method of METHODS) {
      const declared = recordOf(item)[method]
      if (declared !== undefined) operations.push(operationOf(root, method.toUpperCase(), path, recordOf(declared)))
    }
  }
  if (operations.length === 0) throw new Error('The document has no operations')
  return operations
}

/** The operations that a raw path, as it is sent, may belong to: a hostile name can make one path of another. */
export function operationsAt(operations: readonly Operation[], method: string, rawPath: string): Operation[] {
  // An empty name at the end may count as one, or as no more than a slash.
  const path = rawPath.split('?', 1)[0] ?? ''
  const paths = [withoutSlash(path), path.replace(/(.)\/+$/, '$1')]
  return operations.filter((operation) => {
    if (operation.method !== (method === 'HEAD' ? 'GET' : method)) return false
    const pattern = withoutSlash(operation.path)
      .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
      .replaceAll(/\{(\w+)\}/g, (_, name: string) => (name === 'repository' ? '.*' : '[^/]*'))
    return paths.some((one) => new RegExp(`^${pattern}$`).test(one))
  })
}

function operationOf(root: Schema, method: string, path: string, declared: Schema): Operation {
  const parameters = listOf(declared['parameters']).map(recordOf)
  const body = contentOf(root, declared['requestBody'])
  return {
    id: String(declared['operationId']),
    method,
    path,
    query: parameters
      .filter((parameter) => parameter['in'] === 'query')
      .map((parameter) => ({ name: String(parameter['name']), schema: inlined(root, parameter['schema']) })),
    body,
    answers: new Map(
      Object.entries(recordOf(declared['responses']))
        .filter(([status]) => /^\d+$/.test(status))
        .map(([status, answer]) => {
          const schema = contentOf(root, answer)
          return [Number(status), schema === undefined ? undefined : Compile(schema)]
        }),
    ),
  }
}

function contentOf(root: Schema, holder: unknown): Schema | undefined {
  if (holder === undefined) return undefined
  const content = recordOf(recordOf(holder)['content'] ?? {})['application/json']
  return content === undefined ? undefined : inlined(root, recordOf(content)['schema'])
}

function inlined(root: Schema, schema: unknown, depth = 0): Schema {
  if (depth > 20) throw new Error('A schema of the document refers to itself')
  return recordOf(inlinedValue(root, schema, depth))
}

function inlinedValue(root: Schema, value: unknown, depth: number): unknown {
  if (Array.isArray(value)) return value.map((part) => inlinedValue(root, part, depth))
  if (typeof value !== 'object' || value === null) return value
  const { $ref, ...rest } = recordOf(value)
  if (typeof $ref === 'string') {
    let target: unknown = root
    for (const step of $ref.replace(/^#\//, '').split('/')) target = recordOf(target)[step]
    return inlined(root, target, depth + 1)
  }
  return Object.fromEntries(Object.entries(rest).map(([key, part]) => [key, inlinedValue(root, part, depth)]))
}

function withoutSlash(path: string): string {
  return path.replace(/(.)\/$/, '$1')
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function recordOf(value: unknown): Schema {
  if (typeof value !== 'object' || value === null) throw new Error('The document has no object where one must be')
  return value as Schema
}
