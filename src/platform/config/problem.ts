/** One thing that is wrong with the configuration, told so that a person can mend it without reading the code. */
export interface ConfigProblem {
  /** `config.yaml:3:7`, `LONGSHORE_GC_GRACE` or `--listen`. */
  readonly where: string
  /** The key it is about, if it is about one. */
  readonly key: string | undefined
  /** What is wrong and what to write instead. Never holds the value of a secret. */
  readonly message: string
}

/** The configuration cannot be used. Carries every problem found, so that mending does not take one start each. */
export class ConfigError extends Error {
  /** In reading order: by place in the file, then environment and options. */
  readonly problems: readonly ConfigProblem[]
  /** What would have been a warning only. */
  readonly warnings: readonly string[]

  constructor(found: readonly ConfigProblem[], warnings: readonly string[] = []) {
    const problems = inReadingOrder(found)
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    super(`The configuration has ${count}:\n${problems.map((problem) => `  ${describeProblem(problem)}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
    this.warnings = warnings
  }
}

/** One line: place, key, sentence. */
export function describeProblem(problem: ConfigProblem): string {
  const key = problem.key === undefined ? '' : `${problem.key}: `
  return `${problem.where}: ${key}${problem.message}`
}

function inReadingOrder(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const position = ({ where }: ConfigProblem): readonly [number, number] => {
    const match = /:(\d+):(\d+)$/.exec(where)
    return match ? [Number(match[1]), Number(match[2])] : [Number.MAX_SAFE_INTEGER, 0]
  }
  return problems.toSorted((left, right) => {
    const [[leftLine, leftColumn], [rightLine, rightColumn]] = [position(left), position(right)]
    return leftLine - rightLine || leftColumn - rightColumn
  })
}

/** A value as it is quoted in a message: one line, at most 60 characters. Not for secrets. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
