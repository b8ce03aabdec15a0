import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { isFromElsewhere } from './request.ts'

function exchangeWith(headers: Record<string, string>) {
  const request = new IncomingMessage(new Socket())
  Object.assign(request.headers, { host: '127.0.0.1:8080', ...headers })
  return { id: 'x', request, response: new ServerResponse(request), address: '127.0.0.1', startedMs: 0 }
}

test('a form counts as foreign when the browser says so, by its origin or by what it tells about the site', () => {
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'http://127.0.0.1:9999' },
    { origin: 'not an origin' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]
  for (const headers of foreign) {
    assert.equal(isFromElsewhere(exchangeWith(headers), 'localhost:8080'), true, JSON.stringify(headers))
  }
})

test('a form of our own page is accepted under every name of the registry, and without a word about its origin', () => {
  const own: Record<string, string>[] = [
    {},
    { origin: 'null' },
    { origin: 'null', 'sec-fetch-site': 'same-origin' },
    { origin: 'http://127.0.0.1:8080' },
    { origin: 'http://localhost:8080' },
    { 'sec-fetch-site': 'none' },
  ]
  for (const headers of own) {
    assert.equal(isFromElsewhere(exchangeWith(headers), 'localhost:8080'), false, JSON.stringify(headers))
  }
})
