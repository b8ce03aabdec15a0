import type { ChildProcess } from 'node:child_process'

/** A line of a log. */
export type LogLine = Readonly<Record<string, unknown>>

/** What a process writes, kept and watched. */
export class ProcessOutput {
  /** Its log: what it has written to standard output, a JSON object in every line. */
  readonly lines: LogLine[] = []
  stderr = ''
  readonly #child: ChildProcess
  #rest = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#add(text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
  }

  #add(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.lines.push(JSON.parse(line))
  }

  /** Looks again whenever the process has written something. */
  waitFor(holds: () => boolean, what: string, limitMs: number): Promise<void> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(late)
        for (const stream of [child.stdout, child.stderr]) stream?.off('data', look)
        child.off('close', gone)
        end()
      }
      const lastWords = () =>
        `It said:\n${this.stderr}${this.lines
          .slice(-20)
          .map((line) => JSON.stringify(line))
          .join('\n')}`
      const giveUp = (how: string) => settle(() => reject(new Error(`Waiting until ${what}: ${how}. ${lastWords()}`)))
      const look = () => {
        if (holds()) settle(resolve)
      }
      const gone = () => giveUp(`the process ended with ${child.exitCode ?? child.signalCode}`)
      const late = setTimeout(() => giveUp(`not within ${limitMs / 1000} s`), limitMs)
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', look)
      child.on('close', gone)
      look()
    })
  }
}
