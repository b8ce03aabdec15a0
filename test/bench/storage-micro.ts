/**
 * What moving a blob costs: CPU per GiB of our sender and receiver beside plain Node streams, over loopback HTTP.
 * Run: node test/bench/storage-micro.ts [rounds] [pattern of names]. The server is a process of its own, so that its CPU can be told apart.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, get, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { openFilesystemStore } from '../../src/storage/filesystem.ts'
import { newObjectKey } from '../../src/storage/keys.ts'
import { receiveInto } from '../../src/storage/receive.ts'
import { sendObject } from '../../src/storage/send.ts'
import { SendBuffers } from '../../src/storage/send-buffers.ts'
import { type BlobStore, type ObjectKey, parseObjectKey } from '../../src/storage/storage.ts'

const mebibyte = 1024 * 1024
interface Work {
  readonly name: string
  readonly path: 'send' | 'send-stream' | 'receive' | 'receive-stream'
  readonly sizeBytes: number
  readonly requests: number
  readonly connections: number
}
interface Usage {
  readonly cpuMs: number
  /** The part of `cpuMs` that was not spent in the kernel. */
  readonly userMs: number
  readonly loopP99Ms: number
  readonly loopMaxMs: number
  readonly rssMiB: number
}

interface Result extends Usage {
  readonly mibPerS: number
}

const works: Work[] = []
for (const [text, sizeBytes, requests, connections] of [
  ['4 KiB x8', 4096, 4000, 8],
  ['1 MiB x16', mebibyte, 1024, 16],
  ['100 MiB x1', 100 * mebibyte, 10, 1],
  ['100 MiB x8', 100 * mebibyte, 16, 8],
  ['1 GiB x1', 1024 * mebibyte, 1, 1],
] as const) {
  for (const path of ['send', 'send-stream'] as const)
    works.push({ name: `${path} ${text}`, path, sizeBytes, requests, connections })
}
for (const [text, sizeBytes, requests, connections] of [
  ['1 KiB x1', 1024, 500, 1],
  ['1 MiB x8', mebibyte, 256, 8],
  ['100 MiB x1', 100 * mebibyte, 6, 1],
  ['100 MiB x8', 100 * mebibyte, 8, 8],
  ['1 GiB x1', 1024 * mebibyte, 1, 1],
] as const) {
  for (const path of ['receive', 'receive-stream'] as const)
    works.push({ name: `${path} ${text}`, path, sizeBytes, requests, connections })
}

async function serve(root: string): Promise<void> {
  const store = await openFilesystemStore({ root, location: 'bench' })
  const buffers = new SendBuffers()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let cpu = process.cpuUsage()
  const server = createServer(async (req, res) => {
    const [, path = '', name = ''] = (req.url ?? '').split('/')
    if (path === 'usage') {
      const used = process.cpuUsage(cpu)
      const usage: Usage = {
        cpuMs: (used.user + used.system) / 1000,
        userMs: used.user / 1000,
        loopP99Ms: delay.percentile(99) / 1e6,
        loopMaxMs: delay.max / 1e6,
        rssMiB: process.memoryUsage.rss() / mebibyte,
      }
      res.end(JSON.stringify(usage))
      cpu = process.cpuUsage()
      delay.reset()
      return
    }
    const key = parseObjectKey(name) ?? newObjectKey()
    if (path === 'delete') {
      await store.delete(key)
      res.end()
    }
    if (path === 'send') await send(store, buffers, key, res)
    if (path === 'send-stream')
      createReadStream(join(root, key.slice(0, 2), key), { highWaterMark: 64 * 1024 }).pipe(res)
    if (path === 'receive') await receive(store, key, req, res)
    if (path === 'receive-stream') await receiveByStreams(root, key, req, res)
    if (path.startsWith('receive') && parseObjectKey(name) === undefined) await store.delete(key)
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  process.once('disconnect', () => process.exit())
}

async function send(store: BlobStore, buffers: SendBuffers, key: ObjectKey, res: ServerResponse): Promise<void> {
  const reader = await store.openReader(key)
  if (reader === undefined) throw new Error(`no object ${key}`)
  res.writeHead(200, { 'content-length': reader.sizeBytes })
  await sendObject(reader, res, { start: 0, end: reader.sizeBytes, buffers })
  await reader.close()
}

async function receive(store: BlobStore, key: ObjectKey, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const writer = await store.openWriter(key)
  const hash = createHash('sha256')
  await receiveInto(writer, req, { hash, limitBytes: Number.MAX_SAFE_INTEGER })
  await writer.finish()
  await writer.close()
  res.end(hash.digest('hex'))
}

async function receiveByStreams(root: string, key: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const hash = createHash('sha256')
  const hashing = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  await pipeline(req, hashing, createWriteStream(join(root, key.slice(0, 2), key), { flags: 'wx', flush: true }))
  res.end(hash.digest('hex'))
}

async function main(rounds: number, filter: string): Promise<void> {
  const chosen = works.filter((work) => new RegExp(filter).test(work.name))
  const root = await mkdtemp(join(process.env['BENCH_DIR'] ?? tmpdir(), 'longshore-storage-micro-'))
  try {
    const results = new Map<Work, Result[]>(chosen.map((work) => [work, []]))
    for (let round = 0; round < rounds; round++)
      for (const [work, list] of results) list.push(await inFreshServer(root, work))
    for (const [work, list] of results) print(work, list)
  } finally {
    await rm(root, { recursive: true })
  }
}

/** A process for each measurement: one candidate must not inherit heap and dirty pages of another. */
async function inFreshServer(root: string, work: Work): Promise<Result> {
  const child = fork(import.meta.filename, ['serve', root])
  try {
    const port = await new Promise<number>((resolve) => child.once('message', (value) => resolve(Number(value))))
    return await measure(port, work)
  } finally {
    await stopped(child)
  }
}

async function measure(port: number, work: Work): Promise<Result> {
  const base = `http://127.0.0.1:${port}`
  const sending = work.path.startsWith('send')
  const key = newObjectKey()
  if (sending) await upload(`${base}/receive/${key}`, work.sizeBytes)
  await json(`${base}/usage`)
  const begun = performance.now()
  let left = work.requests
  const client = async (): Promise<void> => {
    while (left-- > 0)
      await (sending ? download(`${base}/${work.path}/${key}`) : upload(`${base}/${work.path}/new`, work.sizeBytes))
  }
  await Promise.all(Array.from({ length: work.connections }, client))
  const seconds = (performance.now() - begun) / 1000
  const usage = await json(`${base}/usage`)
  if (sending) await download(`${base}/delete/${key}`)
  return { ...usage, mibPerS: (work.sizeBytes * work.requests) / mebibyte / seconds }
}

function print(work: Work, rounds: readonly Result[]): void {
  const median = (pick: (usage: Result) => number): number =>
    rounds.map(pick).sort((a, b) => a - b)[rounds.length >> 1] ?? 0
  const cpuMs = median((usage) => usage.cpuMs)
  const small = work.sizeBytes < mebibyte
  const unit = small ? cpuMs / work.requests : (cpuMs / 1000) * ((1024 * mebibyte) / (work.sizeBytes * work.requests))
  const cpu = small ? `${unit.toFixed(2)} CPU-ms each` : `${unit.toFixed(2)} CPU-s/GiB`
  const loop = `loop p99 ${median((usage) => usage.loopP99Ms).toFixed(1)} max ${median((usage) => usage.loopMaxMs).toFixed(1)} ms`
  const user = `user ${(median((usage) => usage.userMs) / cpuMs).toFixed(2)}`
  const rss = `rss ${median((usage) => usage.rssMiB).toFixed(0)} MiB`
  console.log(
    work.name.padEnd(28),
    `${median((u) => u.mibPerS).toFixed(0)} MiB/s`.padStart(12),
    cpu.padStart(20),
    loop,
    user,
    rss,
  )
}

const piece = Buffer.alloc(mebibyte, 'longshore')
function upload(url: string, sizeBytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'PUT', headers: { 'content-length': sizeBytes } }, (res) => {
      res.resume().on('end', resolve)
    })
    req.on('error', reject)
    let left = sizeBytes
    const more = (): void => {
      while (left > 0) {
        const part = piece.subarray(0, left)
        left -= part.byteLength
        if (!req.write(part)) {
          req.once('drain', more)
          return
        }
      }
      req.end()
    }
    more()
  })
}

function download(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, (res) =>
      res
        .on('data', () => undefined)
        .on('end', resolve)
        .on('error', reject),
    ).on('error', reject)
  })
}

async function json(url: string): Promise<Usage> {
  return (await (await fetch(url)).json()) as Usage
}

async function stopped(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  // Nothing in it is worth keeping, and an orderly exit of Node can hang while V8 still compiles in the background.
  child.kill('SIGKILL')
  await gone
}

const [mode, value] = process.argv.slice(2)
if (mode === 'serve') await serve(value ?? '')
else await main(Number(mode ?? 3), value ?? '')
