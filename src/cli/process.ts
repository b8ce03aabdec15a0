import type { CliDeps } from './command.ts'

/** The parts of `CliDeps` that come from the process itself; `main.ts` adds the product. */
export function processDeps(): Omit<CliDeps, 'serve' | 'openDatabase' | 'openToRead'> {
  const signals = ['SIGINT', 'SIGTERM'] as const
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    nowMs: () => Date.now(),
    onStop(listener) {
      const listeners = signals.map((signal) => [signal, () => listener(signal)] as const)
      for (const [signal, heard] of listeners) process.on(signal, heard)
      return () => {
        for (const [signal, heard] of listeners) process.off(signal, heard)
      }
    },
    exit: (code) => process.exit(code),
  }
}
