/**
 * JSON Schema (2020-12) that TypeScript understands: a value that is also the type of what it describes. What the API
 * takes and answers is declared with it once. A validator of any make reads it; here that is TypeBox's compiler, whose own
 * builders take a fifth of the memory that an idle server may have.
 */

declare const described: unique symbol
const optional = Symbol('optional')

/** A schema of values of type `T`. Members are those of JSON Schema. */
export interface Schema<T = unknown> {
  readonly [described]?: T
  readonly [optional]?: true
  readonly [keyword: string]: unknown
}

/** A member that may be left out. */
export interface OptionalSchema<T = unknown> extends Schema<T> {
  readonly [optional]: true
}

/** The type that a schema describes. */
export type Static<S> = S extends Schema<infer T> ? T : never

interface Common {
  /** The name under which the documents of the API refer to it. */
  readonly $id?: string
  readonly description?: string
  readonly default?: unknown
}
interface TextRules extends Common {
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
}
interface NumberRules extends Common {
  readonly minimum?: number
  readonly maximum?: number
}

type Members = Readonly<Record<string, Schema>>
type OptionalKeys<M> = { [K in keyof M]: M[K] extends OptionalSchema ? K : never }[keyof M]
type ObjectOf<M> = { readonly [K in Exclude<keyof M, OptionalKeys<M>>]: Static<M[K]> } & {
  readonly [K in OptionalKeys<M>]?: Static<M[K]>
}
/** Told member by member, as an editor shows it best. */
type Plain<T> = { [K in keyof T]: T[K] }

export const Type = {
  String: (rules: TextRules = {}): Schema<string> => ({ type: 'string', ...rules }),
  Number: (rules: NumberRules = {}): Schema<number> => ({ type: 'number', ...rules }),
  Integer: (rules: NumberRules = {}): Schema<number> => ({ type: 'integer', ...rules }),
  Boolean: (rules: Common = {}): Schema<boolean> => ({ type: 'boolean', ...rules }),
  Null: (): Schema<null> => ({ type: 'null' }),
  Unknown: (rules: Common = {}): Schema<unknown> => ({ ...rules }),

  Literal: <const V extends string | number | boolean>(value: V): Schema<V> => ({ type: typeof value, const: value }),

  Array: <S extends Schema>(
    items: S,
    rules: Common & { readonly maxItems?: number } = {},
  ): Schema<readonly Static<S>[]> => ({
    type: 'array',
    items,
    ...rules,
  }),

  Union: <const L extends readonly Schema[]>(anyOf: L, rules: Common = {}): Schema<Static<L[number]>> => ({
    anyOf,
    ...rules,
  }),

  /** A member of this name may be absent; where it is there it must fit. */
  Optional: <T>(schema: Schema<T>): OptionalSchema<T> => ({ ...schema, [optional]: true }),

  /** Members beyond those named are let through. */
  Object: <M extends Members>(properties: M, rules: Common = {}): Schema<Plain<ObjectOf<M>>> => {
    const required = Object.keys(properties).filter((name) => properties[name]?.[optional] === undefined)
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...rules }
  },

  /** Members of any name, all alike. */
  Record: <S extends Schema>(values: S, rules: Common = {}): Schema<Readonly<Record<string, Static<S>>>> => ({
    type: 'object',
    additionalProperties: values,
    ...rules,
  }),
} as const
