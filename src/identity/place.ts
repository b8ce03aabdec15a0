import { isIPv6 } from 'node:net'

/**
 * What counts as one place where clients are: an IPv4 address, or an IPv6 network of 64 bits, since whoever has one address
 * of that has all of them and could come from another one each time. Text that is no address stands for itself.
 */
export function placeOf(address: string): string {
  // Nearly every request: this is asked before anything else is known of it.
  if (!address.includes(':') || !isIPv6(address)) return address
  // The URL parser writes every address in its one short form.
  const short = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short)
  if (mapped) return ipv4Of(mapped[1] ?? '', mapped[2] ?? '')
  const [head = '', tail] = short.split('::')
  const groups = head.split(':').filter((group) => group !== '')
  if (tail !== undefined) {
    const last = tail.split(':').filter((group) => group !== '')
    while (groups.length + last.length < 8) groups.push('0')
  }
  return `${groups.slice(0, 4).join(':')}::/64`
}

function ipv4Of(high: string, low: string): string {
  const [left, right] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [left >> 8, left & 255, right >> 8, right & 255].join('.')
}
