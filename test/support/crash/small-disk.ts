import { execFile } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** A disk of its own that can be filled. Needs root. */
export class SmallDisk {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async mount(mebibytes: number): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), 'longshore-disk-'))
    try {
      await execute('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'longshore-test', path])
    } catch (error) {
      await rm(path, { recursive: true })
      throw new Error('A test needs a small disk of its own, and mounting one needs root.', { cause: error })
    }
    return new SmallDisk(path)
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }

  /** Takes the space that is left, but for `leaveBytes`. */
  fill(leaveBytes = 0): void {
    const bytes = this.freeBytes - leaveBytes
    if (bytes > 0) writeFileSync(join(this.path, 'ballast'), Buffer.alloc(bytes))
  }

  /** Gives back what `fill` has taken. */
  free(): void {
    rmSync(join(this.path, 'ballast'), { force: true })
  }

  async unmount(): Promise<void> {
    await execute('umount', [this.path])
    await rm(this.path, { recursive: true })
  }
}
