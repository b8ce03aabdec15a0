import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, ServerProcess, type Subject } from './subject.ts'

/** The peer as its own documentation sets it up for speed: no authentication, errors only, descriptors in memory. */
const configOf = (dir: string, port: number) => `version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: ${dir}/storage
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
http:
  addr: 127.0.0.1:${port}
  relativeurls: true
`

/** Debian's docker-registry on a file system of our choice. Starts at once. */
export async function startPeer(dir: string): Promise<Subject> {
  await mkdir(dir, { recursive: true })
  const port = await freePort()
  const configFile = join(dir, 'config.yml')
  await writeFile(configFile, configOf(dir, port))
  const server = new ServerProcess({
    command: 'docker-registry',
    args: ['serve', configFile],
    env: { PATH: process.env['PATH'] },
    port,
    logFile: join(dir, 'log.txt'),
  })
  await server.start()
  return {
    side: 'peer',
    host: '127.0.0.1',
    port,
    metricsPort: undefined,
    get pid() {
      return server.pid
    },
    authorize: async () => undefined,
    stop: (signal) => server.stop(signal),
    start: () => server.start(),
  }
}
