import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkHostname, checkNetwork, formatForClient, parseListenAddress } from './address.ts'

describe('addresses', () => {
  test('host:port, [IPv6]:port and :port can be listened on', () => {
    assert.deepEqual(parseListenAddress('localhost:8080'), { host: 'localhost', port: 8080 })
    assert.deepEqual(parseListenAddress('[::1]:0'), { host: '::1', port: 0 })
    assert.deepEqual(parseListenAddress(':5000'), { host: '::', port: 5000 })
  })

  test('an address without port, with a wrong port, bare IPv6 or a path cannot be listened on', () => {
    for (const text of [
      'localhost',
      '8080',
      'a:65536',
      '::1:80',
      '[10.0.0.1]:80',
      '[::1]',
      'a b:80',
      'a:80/x',
      'http://a:80',
    ]) {
      assert.equal(parseListenAddress(text), undefined, text)
    }
  })

  test('clients are told localhost where the server takes every address, and IPv6 in brackets', () => {
    assert.equal(formatForClient({ host: '::', port: 80 }), 'localhost:80')
    assert.equal(formatForClient({ host: '0.0.0.0', port: 80 }), 'localhost:80')
    assert.equal(formatForClient({ host: '::1', port: 80 }), '[::1]:80')
    assert.equal(formatForClient({ host: 'registry.internal', port: 80 }), 'registry.internal:80')
  })

  test('a host name has no scheme, no path and at most a port', () => {
    for (const text of ['quay.example.com', 'a', 'a:443', '10.0.0.1:80', '[::1]:8080', '[fd00::1]']) {
      assert.equal(checkHostname(text), undefined, text)
    }
    for (const text of ['https://a', 'a/b', 'a:', 'a:x', 'a:70000', '::1', '[zz]:1', '-a', 'a..', 'a b', 'u@a']) {
      assert.notEqual(checkHostname(text), undefined, text)
    }
    assert.match(checkHostname('https://a') ?? '', /PREFERRED_URL_SCHEME/)
  })

  test('a trusted proxy is an IP address or a CIDR block', () => {
    for (const text of ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0']) {
      assert.equal(checkNetwork(text), undefined, text)
    }
    for (const text of ['proxy.internal', '10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0', '']) {
      assert.notEqual(checkNetwork(text), undefined, text)
    }
  })
})
