import { isAbsolute, resolve } from 'node:path'
import { type Key, type KeySection, keys } from './keys.ts'
import type { Gathered, SourceKind } from './sources.ts'
import type { ValuePath } from './value-type.ts'

/** Where the value of one key came from. `shown` is the value as it was written, secrets as `***`. */
export interface ConfigSource {
  readonly key: string
  readonly section: KeySection
  readonly shown: unknown
  readonly source: SourceKind
  /** `config.yaml:3:7`, `LONGSHORE_GC_GRACE`, `--listen`; undefined for a default. */
  readonly where: string | undefined
  readonly help: string
}

/** Reads keys one by one from what was gathered and remembers where each value came from. */
export class KeyReader {
  readonly #gathered: Gathered
  readonly #cwd: string
  readonly #sources = new Map<string, ConfigSource>()

  constructor(gathered: Gathered, cwd: string) {
    this.#gathered = gathered
    this.#cwd = cwd
  }

  /** The value of a key. A wrong one is recorded as a problem and read as if it were not set. */
  find<T>(key: Key<T>): T | undefined {
    const given = this.#gathered.given.get(key.name)
    if (given) {
      const value = key.type.read(given.written, (message, path) => this.refuse(key, message, path))
      if (value !== undefined) {
        this.#remember(key, key.type.redact?.(value) ?? given.written.value, given.source, given.where([]))
        return value
      }
    }
    const value = key.fallback === undefined ? undefined : this.#fallback(key)
    this.#remember(key, key.fallback, 'default', undefined)
    return value
  }

  /** The value of a key that has a default. */
  get<T>(key: Key<T>): T {
    return this.find(key) ?? this.#fallback(key)
  }

  /** The value of a key that holds a path, made absolute from where it was written. */
  findPath(key: Key<string>): string | undefined {
    const path = this.find(key)
    return path === undefined || isAbsolute(path)
      ? path
      : resolve(this.#gathered.given.get(key.name)?.baseDir ?? this.#cwd, path)
  }

  /** Whether somebody gave the key a value, right or wrong. */
  isGiven(key: Key<unknown>): boolean {
    return this.#gathered.given.has(key.name)
  }

  /** Notes what a key without a default of its own amounts to, for those who ask what is in force. */
  derive(key: Key<unknown>, shown: unknown, where?: string): void {
    this.#remember(key, shown, where === undefined ? 'default' : 'file', where)
  }

  /** Records that a value cannot be used. */
  refuse(key: Key<unknown>, message: string, path: ValuePath = []): void {
    const where = this.#gathered.given.get(key.name)?.where(path) ?? 'default'
    this.#gathered.problems.push({ where, key: key.name, message })
  }

  /** Records something that is allowed and probably not meant. */
  warn(key: Key<unknown>, message: string): void {
    const where = this.#gathered.given.get(key.name)?.where([])
    this.#gathered.warnings.push(`${where === undefined ? '' : `${where}: `}${key.name}: ${message}`)
  }

  /** Every key that was read, in the order of the table. */
  sources(): readonly ConfigSource[] {
    return Object.keys(keys).flatMap((name) => this.#sources.get(name) ?? [])
  }

  #fallback<T>(key: Key<T>): T {
    const text = typeof key.fallback === 'string' ? key.fallback : undefined
    const value = key.type.read({ value: key.fallback, text }, (message) => {
      throw new Error(`The default of ${key.name} is wrong: ${message}`)
    })
    if (value === undefined) throw new Error(`${key.name} has no default and was read as if it had one`)
    return value
  }

  #remember(key: Key<unknown>, shown: unknown, source: SourceKind, where: string | undefined): void {
    this.#sources.set(key.name, { key: key.name, section: key.section, shown, source, where, help: key.help })
  }
}
