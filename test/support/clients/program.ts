/** Programs as a person runs them in a terminal: what they print and how they end. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  /** The whole environment; without it that of the test. */
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** What it reads from its standard input; without it there is nothing to read. */
  readonly input?: string
  /** After this it is killed. */
  readonly timeoutMs?: number
}

/** Runs a program to its end, whatever that is. Rejects only when it cannot be started. */
export function run(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  const { env, cwd, input, timeoutMs = 90_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...(env && { env }), ...(cwd && { cwd }), timeout: timeoutMs })
    const output = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text
    })
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? '', ...output }))
    // A program that ends without reading closes the pipe: its exit code says more than that.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

/** Runs a program that must succeed. @returns what it wrote to standard output, without the last line break. */
export async function succeed(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  assert.equal(code, 0, `${command} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`)
  return stdout.trimEnd()
}

/** Runs a program that must fail. @returns everything that a person would see of it. */
export async function fail(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  assert.ok(
    typeof code === 'number' && code > 0,
    `${command} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`,
  )
  return stdout + stderr
}
