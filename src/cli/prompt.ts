import type { Input, Writer } from './command.ts'
import { CommandError } from './command.ts'

/**
 * Asks for one line on a terminal and shows nothing of what is typed.
 * @throws CommandError: the terminal was closed, or the user gave up with Ctrl-C or Ctrl-D.
 */
export async function promptHidden(input: Input, output: Writer, question: string): Promise<string> {
  if (input.setRawMode === undefined)
    throw new CommandError('This terminal cannot hide what is typed. Use --password-stdin.')
  output.write(question)
  input.setRawMode(true)
  try {
    return await readTyped(input)
  } finally {
    input.setRawMode(false)
    input.pause()
    output.write('\n')
  }
}

function readTyped(input: Input): Promise<string> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder()
    let line = ''
    const onData = (chunk: Uint8Array | string) => {
      const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
      for (const sign of text) {
        if (sign === '\r' || sign === '\n') return settle(() => resolve(line))
        if (sign === '\u0003' || (sign === '\u0004' && line === '')) return settle(() => reject(gaveUp()))
        if (sign === '\u007f' || sign === '\b') line = [...line].slice(0, -1).join('')
        else if (sign === '\u0015') line = ''
        else if (sign >= ' ') line += sign
      }
    }
    const onEnd = () => settle(() => reject(gaveUp()))
    const settle = (finish: () => void) => {
      input.off('data', onData)
      input.off('end', onEnd)
      finish()
    }
    input.on('data', onData)
    input.on('end', onEnd)
    input.resume()
  })
}

function gaveUp(): CommandError {
  return new CommandError('No password was given. Nothing was created.')
}

/** Everything that comes on a pipe. @throws CommandError: more than `limitBytes`. */
export async function readAll(input: Input, limitBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > limitBytes)
      throw new CommandError(`Standard input is longer than ${limitBytes} bytes. It should hold one password.`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}
