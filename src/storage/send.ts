import type { ServerResponse } from 'node:http'
import { Outlet } from './outlet.ts'
import type { SendBuffers } from './send-buffers.ts'
import { type ObjectReader, StorageError } from './storage.ts'

const singleWriteBytes = 64 * 1024
/** After this many bytes the other requests of the process get a turn, even if disk and socket never make us wait. */
const turnBytes = 2 * 1024 * 1024

export interface SendOptions {
  /** First byte to send. */
  readonly start: number
  /** The byte after the last one. */
  readonly end: number
  readonly buffers: SendBuffers
  /** How long the client may take no byte at all before it is cut. Default 60 s. */
  readonly idleMs?: number
}

export interface Sent {
  /** `complete`: the response has ended. `gone`: the client left. `stalled`: it took no byte and was cut. */
  readonly outcome: 'complete' | 'gone' | 'stalled'
  /** Bytes of the object that the operating system took over. */
  readonly bytes: number
}

/**
 * Sends the bytes `start` to `end` (exclusive) of an object as the body of a response whose headers are set, and ends it.
 * When it settles nothing reads from `reader` any more; the caller closes it.
 *
 * A response never ends cleanly with bytes missing: if the object is shorter than promised or cannot be read, the
 * connection is destroyed; if no header has been sent yet, the response is left as it is and can carry an error.
 * @throws StorageError IO_ERROR
 */
export async function sendObject(reader: ObjectReader, target: ServerResponse, options: SendOptions): Promise<Sent> {
  const { start, end } = options
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end))
    throw new RangeError(`Not a range to send: from ${start} to ${end}`)
  const outlet = new Outlet(target, options.idleMs ?? 60_000)
  try {
    if (end > reader.sizeBytes) throw tooShort(reader.sizeBytes, end)
    if (end - start <= singleWriteBytes) await sendAtOnce(reader, outlet, start, end)
    else await sendInTurns(reader, outlet, options)
  } catch (error) {
    if (target.headersSent) target.destroy()
    throw error
  } finally {
    outlet.letGo()
  }
  return { outcome: outlet.state === 'open' ? 'gone' : outlet.state, bytes: outlet.bytes }
}

async function sendAtOnce(reader: ObjectReader, outlet: Outlet, start: number, end: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(end - start)
  if (end > start) await fill(reader, buffer, start)
  await outlet.end(buffer)
}

/** One buffer is filled while the other drains. */
async function sendInTurns(reader: ObjectReader, outlet: Outlet, options: SendOptions): Promise<void> {
  const { start, end, buffers } = options
  const pair = buffers.lend(end - start)
  try {
    let [filling, draining] = [pair.first, pair.second]
    let position = start
    let sinceTurn = 0
    let chunk = filling.subarray(0, end - position)
    await fill(reader, chunk, position)
    while (outlet.state === 'open') {
      position += chunk.byteLength
      if (position === end) {
        await outlet.end(chunk)
        break
      }
      const writing = outlet.write(chunk)
      ;[filling, draining] = [draining, filling]
      chunk = filling.subarray(0, end - position)
      // Both are waited for, also when the client is lost: no buffer may go back while something is filling it.
      await Promise.all([fill(reader, chunk, position), writing])
      sinceTurn += chunk.byteLength
      if (sinceTurn >= turnBytes) {
        sinceTurn = 0
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  } finally {
    // A write that was cut off may not have let go of its buffer: the next blob in it could reach the wrong client.
    if (outlet.isIdle) pair.giveBack()
    else pair.abandon()
  }
}

async function fill(reader: ObjectReader, buffer: Uint8Array, position: number): Promise<void> {
  const bytes = await reader.read(buffer, position)
  if (bytes < buffer.byteLength) throw tooShort(position + bytes, position + buffer.byteLength)
}

function tooShort(found: number, wanted: number): StorageError {
  const text = `The object ends at byte ${found}, but has to be sent up to byte ${wanted}: it is damaged. Run fsck, and push it again.`
  return new StorageError('IO_ERROR', text)
}
