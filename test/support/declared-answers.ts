import { Compile, type Validator } from 'typebox/compile'
import type { DeclaredRoute } from '../../src/api/rest-context.ts'
import type { Reply } from '../../src/platform/reply.ts'
import type { Schema } from '../../src/platform/schema.ts'

const validators = new Map<Schema, Validator>()

/**
 * Throws, which makes a 500 of it, when a route answers something that it does not declare. Every server in a test has
 * it, so that whatever a test does also compares the API with its document.
 */
export function checkAnswer(route: DeclaredRoute, reply: Reply): void {
  const declared = route.answers[reply.status]
  // Pages and files are what a person or another program reads.
  if (declared !== undefined && (route.page || reply.headers['Content-Type'] !== 'application/json')) {
    if (declared.schema !== undefined || typeof reply.body !== 'string' || reply.body === '' || route.page) return
  }
  if (declared === undefined) throw new Error(`${route.operationId} does not declare the status ${reply.status}`)
  const body = typeof reply.body === 'string' && reply.body !== '' ? reply.body : undefined
  if (declared.schema === undefined) {
    if (body !== undefined) throw new Error(`${route.operationId} declares no body for ${reply.status}, and sends one`)
    return
  }
  if (body === undefined) throw new Error(`${route.operationId} declares a body for ${reply.status}, and sends none`)
  let validator = validators.get(declared.schema)
  if (validator === undefined) {
    validator = Compile(declared.schema)
    validators.set(declared.schema, validator)
  }
  const value: unknown = JSON.parse(body)
  if (validator.Check(value)) return
  const errors = [...validator.Errors(value)].map((error) => `${error.instancePath}: ${error.message}`).join('; ')
  throw new Error(`${route.operationId} answers ${reply.status} with what it does not declare: ${errors}: ${body}`)
}
