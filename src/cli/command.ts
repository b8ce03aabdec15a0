import type { Db, ReadOnlyDb } from '../db/db.ts'
import type { Config } from '../platform/config/config.ts'
import type { LoadedConfig } from '../platform/config/load.ts'
import type { ConfigInput } from '../platform/config/sources.ts'
import type { BlobStore } from '../storage/storage.ts'

/** How a process ends. Scripts rely on these. */
export const exitCodes = {
  /** Done. */
  fine: 0,
  /** Understood, and not done: refused, or something it needs is not there. */
  failed: 1,
  /** Not understood: a command, option or argument that does not exist. Nothing was tried. */
  usage: 2,
} as const

export type OutputFormat = 'table' | 'json'

export interface Writer {
  write(text: string): unknown
}

/** The part of `process.stdin` that commands use. */
export interface Input extends NodeJS.ReadableStream {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

/** A server that runs in this process. */
export interface Serving {
  readonly url: string
  /** What clients call it: host and port. */
  readonly hostname: string
  /** The one-time link to the form for the first account; absent when there is one. */
  readonly setupLink?: string
  /** Finishes what is under way and closes everything. */
  close(): Promise<void>
}

/** What the command line needs from the rest of the program and from the process it runs in. */
export interface CliDeps {
  serve(loaded: LoadedConfig): Promise<Serving>
  /** Migrated to this release. Refuses a SQLite database that another process serves. */
  openDatabase(config: Config): Promise<Db>
  /** Database and stores only to be looked at, also beside a process that serves them. */
  openToRead(config: Config): Promise<{ db: ReadOnlyDb; stores: ReadonlyMap<string, BlobStore> }>
  readonly stdout: Writer
  readonly stderr: Writer
  readonly stdin: Input
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  nowMs(): number
  /** Calls `listener` at SIGINT and SIGTERM; returns what ends that. */
  onStop(listener: (signal: 'SIGINT' | 'SIGTERM') => void): () => void
  /** Ends the process at once. */
  exit(code: number): void
}

export interface Option {
  /** Without its dashes. */
  readonly flag: string
  /** What stands behind it, as in `--email ADDRESS`; absent for a switch. */
  readonly value?: string
  /** The only values that make sense. */
  readonly choices?: readonly string[]
  readonly help: string
}

/** A command as the user has called it, already checked against its declaration. */
export interface Invocation {
  readonly args: readonly string[]
  /** Options of the command itself, by flag. */
  readonly values: ReadonlyMap<string, string>
  readonly switches: ReadonlySet<string>
  /** Where its configuration comes from: file, flags, environment. */
  readonly config: ConfigInput
  readonly output: OutputFormat
}

/** One command: the parser, the help and the completion of shells read this. */
export interface Command {
  /** The words that call it, such as `['user', 'create']`. */
  readonly words: readonly string[]
  readonly summary: string
  /** More than the summary, for its own help. */
  readonly details?: string
  readonly args: readonly {
    readonly name: string
    readonly isOptional?: boolean
    readonly choices?: readonly string[]
  }[]
  readonly options: readonly Option[]
  /** Whether it takes `--config` and an option for each key of the configuration. */
  readonly takesConfig: boolean
  /** Returns an exit code. @throws CommandError, and whatever else `describeFailure` knows. */
  run(invocation: Invocation, deps: CliDeps): Promise<number>
}

/** The user called for something that does not exist. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** A command was understood and cannot do what it should. The message says why and what to do. */
export class CommandError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'CommandError'
  }
}
