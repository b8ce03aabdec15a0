import type { Mail } from './mail.ts'

export interface Message {
  readonly to: string
  readonly subject: string
  /** What it says, one paragraph each. */
  readonly paragraphs: readonly string[]
  /** What to press. */
  readonly link?: { readonly label: string; readonly url: string }
}

/** Writes a message as a mail: plain text and simple HTML that say the same. `title` is what the registry is called. */
export function writeMail(title: string, message: Message): Mail {
  const { paragraphs, link } = message
  const end = `You get this mail from ${title}, a registry for container images.`
  const lines = [...paragraphs, ...(link ? [`${link.label}:\n${link.url}`] : []), end]
  const parts = [
    ...paragraphs.map((paragraph) => `<p>${escaped(paragraph)}</p>`),
    ...(link ? [`<p><a href="${escaped(link.url)}">${escaped(link.label)}</a></p><p>${escaped(link.url)}</p>`] : []),
    `<p style="color:#6a6e73">${escaped(end)}</p>`,
  ]
  return {
    to: oneLine(message.to),
    subject: oneLine(`[${title}] ${message.subject}`),
    text: `${lines.join('\n\n')}\n`,
    html: `<!doctype html><html lang="en"><body style="font-family:sans-serif">${parts.join('')}</body></html>`,
  }
}

/** A header is one line, whatever somebody is called. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => entities[sign] ?? '')
}
