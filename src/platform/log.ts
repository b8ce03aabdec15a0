import { pino } from 'pino'

/** One line per event: a sentence that reads alone, dotted fields beside it. */
export interface Log {
  debug(fields: object, sentence: string): void
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
  /** Someone must act. A refused request is `info`. */
  error(fields: object, sentence: string): void
  fatal(fields: object, sentence: string): void
  child(fields: object): Log
  isLevelEnabled(level: string): boolean
}

export interface LogOptions {
  readonly level: string
  readonly format: 'json' | 'text'
}

/** JSON lines on stdout, or `time level sentence field=value` with format `text`. Secrets never come here. */
export function openLog(options: LogOptions): Log {
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    errorKey: 'error',
  }
  return options.format === 'text'
    ? pino(settings, { write: (line) => process.stdout.write(asText(line)) })
    : pino(settings)
}

/** Says nothing; for tests and short commands. */
export const silentLog: Log = pino({ level: 'silent' })

function asText(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
  return `${String(time)} ${String(level).padEnd(5)} ${String(msg)}${rest.join('')}\n`
}
