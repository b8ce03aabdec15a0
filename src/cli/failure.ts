import { ConfigError } from '../platform/config/problem.ts'
import { DomainError } from '../platform/errors.ts'
import { CommandError, exitCodes, UsageError } from './command.ts'

/** What to tell a person about anything that a command has thrown, and how the process ends. */
export function describeFailure(error: unknown): { text: string; exitCode: number } {
  if (error instanceof UsageError) return { text: error.message, exitCode: exitCodes.usage }
  return { text: describe(error), exitCode: exitCodes.failed }
}

function describe(error: unknown): string {
  if (error instanceof ConfigError || error instanceof CommandError || error instanceof DomainError)
    return error.message
  if (!(error instanceof Error)) return `Something failed without a reason: ${String(error)}`
  // Several addresses of one name were tried; the first failure stands for all of them.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return describe(error.errors[0])
  const known = describeSystemError(error)
  if (known !== undefined) return known
  // A sentence of ours that says what to do needs no stack; whatever else comes up here is a bug, and then it helps.
  return error.name === 'Error' && !('code' in error) ? error.message : (error.stack ?? error.message)
}

interface SystemError {
  readonly code: string
  readonly syscall: string | undefined
  readonly path: string | undefined
  readonly place: string
}

function describeSystemError(error: Error): string | undefined {
  const { code, syscall, path, place } = systemErrorOf(error)
  if (syscall === 'listen' || syscall === 'bind') {
    if (code === 'EADDRINUSE')
      return `The address ${place} is in use by another program. Stop that one, or choose another address with --listen.`
    if (code === 'EACCES')
      return `This user may not listen on ${place}. Ports below 1024 are reserved: choose a higher one with --listen.`
    if (code === 'EADDRNOTAVAIL') return `This machine has no address ${place}. Choose one that it has with --listen.`
  }
  if (code === 'ENOTFOUND')
    return `The name of a server cannot be resolved: ${error.message}. Check the host in DB_URI.`
  if (syscall === 'connect') return `The database at ${place} does not answer (${code}). Start it, or check DB_URI.`
  if (path === undefined) return undefined
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `This user may not use ${path} (${code}). Check owner and permissions, or choose another folder with --data.`
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return `There is no space left for ${path}. Make room, or choose another folder with --data.`
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return `${path} should be a folder and is none. Move it away, or choose another folder with --data.`
  return undefined
}

function systemErrorOf(error: Error): SystemError {
  const read = (name: string): string | undefined => {
    const value: unknown = Reflect.get(error, name)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  }
  const [address, port] = [read('address'), read('port')]
  const host = address?.includes(':') ? `[${address}]` : address
  return {
    code: read('code') ?? '',
    syscall: read('syscall'),
    path: read('path'),
    place: port === undefined ? (address ?? '') : `${host ?? ''}:${port}`,
  }
}
