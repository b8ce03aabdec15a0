import { isIP } from 'node:net'
import { quoted } from './problem.ts'
import type { ValueType } from './value-type.ts'

/** Where a server listens. `host` has no brackets; `::` stands for every address of the machine. */
export interface ListenAddress {
  readonly host: string
  /** 0 lets the operating system choose. */
  readonly port: number
}

const teach = 'Write host:port, [IPv6]:port, or :port for every address, for example localhost:8080.'

/** Parses `host:port`, `[::1]:port` and `:port`. Undefined for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) return undefined
  const [, inBrackets, bare] = match
  if (inBrackets !== undefined) return isIP(inBrackets) === 6 ? { host: inBrackets, port } : undefined
  return { host: bare === undefined || bare === '' ? '::' : bare, port }
}

/** The address as a client writes it into a URL; IPv6 in brackets, `localhost` where the server takes every address. */
export function formatForClient(address: ListenAddress): string {
  if (isWildcard(address)) return `localhost:${address.port}`
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Whether the server answers on every address of the machine. */
export function isWildcard(address: ListenAddress): boolean {
  return address.host === '::' || address.host === '0.0.0.0'
}

/** An address to listen on. */
export const listenAddress: ValueType<ListenAddress> = {
  label: 'host:port',
  schema: { type: 'string' },
  read({ value }, fail) {
    const address = typeof value === 'string' ? parseListenAddress(value) : undefined
    if (address === undefined) fail(`${quoted(value)} is not an address to listen on. ${teach}`)
    return address
  },
}

/** An address to listen on, or empty text, read as `off`. */
export const listenAddressOrOff: ValueType<ListenAddress | 'off'> = {
  label: 'host:port, or empty',
  schema: { type: 'string' },
  acceptsEmpty: true,
  read({ value }, fail) {
    if (value === '') return 'off'
    const address = typeof value === 'string' ? parseListenAddress(value) : undefined
    if (address === undefined)
      fail(`${quoted(value)} is not an address to listen on. ${teach} Empty text ('') means off.`)
    return address
  },
}

/** What is wrong with a name that clients use for this server, or undefined. */
export function checkHostname(text: string): string | undefined {
  if (/^[a-z]+:\/\//i.test(text)) {
    return `${quoted(text)} has a scheme. Write the host name and port only; the scheme is PREFERRED_URL_SCHEME.`
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(\d{1,5}))?$/.exec(text)
  const isValid = match && (match[1] === undefined || isIP(match[1]) === 6) && Number(match[2] ?? 1) <= 65_535
  return isValid
    ? undefined
    : `${quoted(text)} is not a host name. Write it as clients do, for example registry.example.com:8443.`
}

/** What is wrong with an IP address or CIDR block, or undefined. */
export function checkNetwork(text: string): string | undefined {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  const longest = family === 6 ? 128 : 32
  const prefixIsValid = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= longest)
  if (family !== 0 && prefixIsValid && rest.length === 0) return undefined
  return `${quoted(text)} is neither an IP address nor a CIDR block. Write 10.0.0.7, 10.0.0.0/8 or fd00::/8; names are not looked up.`
}
