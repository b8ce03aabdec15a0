import { type Command, UsageError } from './command.ts'
import { optionsOf } from './options.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

/** The script that teaches a shell our commands. @throws UsageError for a shell that we do not know. */
export function completionScript(shell: string, commands: readonly Command[]): string {
  if (shell === 'bash') return bashScript(commands)
  if (shell === 'zsh') return zshScript(commands)
  if (shell === 'fish') return fishScript(commands)
  throw new UsageError(`There is no completion for "${shell}". Known shells: ${shells.join(', ')}.`)
}

/** What may come next: below a command path its subcommands, arguments and options. */
function continuations(commands: readonly Command[]): Map<string, Set<string>> {
  const next = new Map<string, Set<string>>()
  const add = (path: string, words: readonly string[]) => {
    const known = next.get(path) ?? new Set()
    for (const word of words) known.add(word)
    next.set(path, known)
  }
  for (const command of commands) {
    for (const [index, word] of command.words.entries()) add(command.words.slice(0, index).join(' '), [word])
    const options = optionsOf(command).map((option) => `--${option.flag}`)
    const choices = command.args.flatMap((arg) => arg.choices ?? [])
    add(command.words.join(' '), [...choices, ...options])
  }
  add('help', [...new Set(commands.map((command) => command.words[0] ?? ''))])
  return next
}

/** Options that are followed by a path, and those that know their values. */
const pathFlags = ['--config', '--data', '--tls-cert-file', '--tls-key-file']

function cases(commands: readonly Command[], line: (words: string) => string): string {
  return [...continuations(commands)]
    .map(([path, words]) => `    '${path}') ${line([...words].join(' '))} ;;`)
    .join('\n')
}

/** Which command is called: the words in front of the cursor that are no options. At most two words make one. */
const collectPath = `  local called='' word count=0
  for word in "\${before[@]}"; do
    [[ $word == -* ]] && break
    (( count++ < 2 )) && called="\${called:+$called }$word"
  done`

function bashScript(commands: readonly Command[]): string {
  return `# bash completion of longshore: source <(longshore completion bash)
_longshore() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local -a before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${collectPath}
  case "$previous" in
    ${pathFlags.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --output) COMPREPLY=($(compgen -W 'table json' -- "$current")); return ;;
  esac
  local words=''
  case "$called" in
${cases(commands, (words) => `words='${words}'`)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _longshore longshore
`
}

function zshScript(commands: readonly Command[]): string {
  return `#compdef longshore
# zsh completion of longshore: source <(longshore completion zsh)
_longshore() {
  local previous="\${words[CURRENT-1]}"
  local -a before=("\${(@)words[2,CURRENT-1]}") next
${collectPath}
  case "$previous" in
    ${pathFlags.join('|')}) _files; return ;;
    --output) compadd -- table json; return ;;
  esac
  case "$called" in
${cases(commands, (words) => `next=(${words})`)}
  esac
  compadd -- "\${next[@]}"
}
compdef _longshore longshore
`
}

function fishScript(commands: readonly Command[]): string {
  const groups = [...new Set(commands.map((command) => command.words[0] ?? ''))]
  const lines = ['# fish completion of longshore: longshore completion fish | source', 'complete -c longshore -f']
  for (const command of commands) {
    const [first = '', second] = command.words
    const seen =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`
    const top = `not __fish_seen_subcommand_from ${groups.join(' ')}`
    if (second === undefined) lines.push(`complete -c longshore -n '${top}' -a ${first} -d '${quote(command.summary)}'`)
    else {
      lines.push(`complete -c longshore -n '${top}' -a ${first}`)
      lines.push(
        `complete -c longshore -n '__fish_seen_subcommand_from ${first}' -a ${second} -d '${quote(command.summary)}'`,
      )
    }
    for (const choice of command.args.flatMap((arg) => arg.choices ?? []))
      lines.push(`complete -c longshore -n '${seen}' -a ${choice}`)
    for (const option of optionsOf(command)) {
      const value = option.value === undefined ? '' : pathFlags.includes(`--${option.flag}`) ? ' -r -F' : ' -x'
      const choices = option.choices === undefined ? '' : ` -a '${option.choices.join(' ')}'`
      lines.push(`complete -c longshore -n '${seen}' -l ${option.flag}${value}${choices} -d '${quote(option.help)}'`)
    }
  }
  return `${[...new Set(lines)].join('\n')}\n`
}

function quote(text: string): string {
  return text.replaceAll('`', '').replaceAll("'", "\\'")
}
