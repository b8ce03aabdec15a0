import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { defaultConfig } from '../platform/config/load.ts'
import { pushLines } from './home.routes.ts'

const lines = (hostname: string, config: Parameters<typeof defaultConfig>[0] = {}) =>
  pushLines({ hostname, name: 'captain', config: defaultConfig(config) }).text

describe('the lines for a first push', () => {
  test('they can be copied: host and name stand in them', () => {
    assert.match(
      lines('r.example'),
      /docker tag alpine r\.example\/captain\/alpine\ndocker push r\.example\/captain\/alpine/,
    )
  })

  test('over plain HTTP they say what clients want, which depends on whether the registry is on this machine', () => {
    for (const local of ['localhost:8080', '127.0.0.1', '[::1]:8080']) {
      assert.match(lines(local), /Docker accepts that on this machine/)
      assert.doesNotMatch(lines(local), /insecure-registries/)
    }
    for (const remote of ['registry:8080', 'localhost.example.com']) assert.match(lines(remote), /insecure-registries/)
  })

  test('behind TLS nothing is said of plain HTTP', () => {
    assert.doesNotMatch(lines('localhost:8443', { server: { urlScheme: 'https' } }), /plain HTTP|tls-verify/)
  })

  test('they tell who will be able to pull what was pushed', () => {
    assert.match(lines('r.example'), /It is private/)
    assert.match(lines('r.example', { accounts: { createPrivateRepoOnPush: false } }), /It is public\./)
  })
})
