import { inspect } from 'node:util'

/**
 * A value that must not reach a log, an error or a screen. It prints as `***` wherever text is made of it; only
 * `reveal` gives it away, so that a search for that word finds every place where a secret leaves its wrapper.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The secret itself. Pass it straight to what needs it; never keep it in a field or put it into a message. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '***'
  }

  toJSON(): string {
    return '***'
  }

  [inspect.custom](): string {
    return '***'
  }
}
