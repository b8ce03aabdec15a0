import { Type } from '../platform/schema.ts'

/** Longer than anything that fits; whoever knows the rule of a text says what is wrong with it. */
export const ShortText = Type.String({ maxLength: 4_096 })

/** Absent: it stays as it is, or was not said. */
export const OptionalText = Type.Optional(Type.Union([ShortText, Type.Null()]))

/** The fields of a form; what is missing counts as empty. */
export const Form = Type.Record(Type.String())
