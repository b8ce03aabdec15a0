import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { root } from '../../support/stages.ts'
import { loadAverage } from './process.ts'
import { versionOf } from './wrk.ts'

/** What a number means nothing without. */
export async function gatherFacts(options: { seed: number; rounds: number; quick: boolean }) {
  return {
    at: new Date().toISOString(),
    commit: currentCommit(),
    ...options,
    flags: process.argv.slice(2),
    node: process.version,
    sqlite: process.versions['sqlite'],
    openssl: process.versions.openssl,
    peer: await versionOf('docker-registry', ['--version']),
    wrk: await versionOf('wrk', ['-v']),
    kernel: release(),
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadAverage(),
  }
}

function currentCommit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim()
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '-changed')
  } catch {
    return 'unknown: this is no working tree of git'
  }
}
