import { version } from '../platform/version.ts'
import { usageOf } from './arguments.ts'
import type { Command, Option } from './command.ts'
import { commonOptions, configOptions } from './options.ts'

const WIDTH = 100

/** All commands in a page. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map(
    (command): Row => [[...command.words, ...command.args.map(argName)].join(' '), command.summary],
  )
  return `Longshore ${version()}, a container registry.

Usage: longshore COMMAND [options]

Commands:
${columns(rows)}
"longshore help COMMAND" tells more about one of them.

Exit codes: 0 done, 1 failed (the reason is on stderr), 2 the command line was not understood.
`
}

/** One command in full. */
export function commandHelp(command: Command): string {
  const own = [...command.options, ...commonOptions]
  const parts = [`${command.summary}.`, `Usage: ${usageOf(command)}`]
  if (command.details !== undefined) parts.push(wrap(command.details, 0))
  parts.push(`Options:\n${columns(own.map(optionRow)).trimEnd()}`)
  if (command.takesConfig) {
    const how =
      'The configuration, one option for each key; "longshore config explain" shows values and where they come from:'
    parts.push(`${how}\n${columns(configOptions.map(optionRow)).trimEnd()}`)
  }
  parts.push('Exit codes: 0 done, 1 failed (the reason is on stderr), 2 the command line was not understood.')
  return `${parts.join('\n\n')}\n`
}

type Row = readonly [left: string, right: string]

function optionRow(option: Option): Row {
  return [option.value === undefined ? `--${option.flag}` : `--${option.flag} ${option.value}`, option.help]
}

function argName(arg: Command['args'][number]): string {
  return arg.isOptional === true ? `[${arg.name}]` : arg.name
}

function columns(rows: readonly Row[]): string {
  const width = Math.min(38, Math.max(...rows.map(([left]) => left.length)))
  return rows
    .map(([left, right]) => {
      const text = wrap(right.replaceAll('`', ''), width + 4)
      // A name that is too long for its column stands alone, so that the others stay together.
      return left.length > width ? `  ${left}\n${' '.repeat(width + 4)}${text}\n` : `  ${left.padEnd(width)}  ${text}\n`
    })
    .join('')
}

function wrap(text: string, indent: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + word.length + 1 > WIDTH) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}
