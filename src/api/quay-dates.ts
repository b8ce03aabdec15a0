/** The forms in which Quay writes moments; `ms` is UTC milliseconds everywhere. */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** RFC 2822: `Tue, 14 Nov 2023 22:13:20 -0000`. */
export function mailDate(ms: number): string {
  const at = new Date(ms)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${DAYS[at.getUTCDay()]}, ${two(at.getUTCDate())} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`
  return `${day} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} -0000`
}

/** The same of what may not have happened yet. */
export function mailDateOrNull(ms: number | null): string | null {
  return ms === null ? null : mailDate(ms)
}

/** `Tue, 14 Nov 2023 22:13:20 GMT`. */
export function httpDate(ms: number): string {
  return new Date(ms).toUTCString()
}

/** `2023-11-14T22:13:20Z`. */
export function isoDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** `2023-11-14`. */
export function dayDate(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** Whole Unix seconds. */
export function unixSeconds(ms: number): number {
  return Math.floor(ms / 1000)
}
