import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readUploadId } from '../../../src/blobs/upload-id.ts'
import { commitUpload } from '../../../src/blobs/uploads.ts'
import { basic, type TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { digestOf } from '../../support/images.ts'
import { OpenRequest } from '../../support/open-request.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import { separationOf, timesOf } from '../../support/timing.ts'

/** Of a separation: five times what chance makes of 100 rounds, and far less than a real difference makes. */
const TOLD = 0.4

const MIB = 1024 * 1024
const OWNER = { authorization: basic('owner', 'correct-horse-battery') }

async function finish(repository: TestRepository, location: string, bytes: Uint8Array, start?: number) {
  const headers = start === undefined ? {} : { 'content-range': `${start}-${start + bytes.length - 1}` }
  return repository.client.send('PUT', `${location}?digest=${digestOf(bytes)}`, { body: bytes, headers })
}

async function offsetOf(repository: TestRepository, location: string): Promise<number> {
  const answer = await repository.client.send('GET', location)
  assert.equal(answer.status, 204, answer.text())
  const last = Number(answer.headers.range?.split('-')[1])
  return last === 0 ? 0 : last + 1
}

/** One character of the id becomes another one. */
function changed(id: string, at: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const next = alphabet[(alphabet.indexOf(id[at] ?? '') + 1 + (at % 63)) % 64] ?? ''
  return id.slice(0, at) + next + id.slice(at + 1)
}

forEachDatabase((database) => {
  describe('upload sessions of others', () => {
    const registry = shareRegistry({ database })

    // case 4
    test('a session is unknown to everybody but its owner, under every path and with every method', async () => {
      const victim = registry().as('owner').repository('owner/victim')
      const location = await victim.startUpload()
      const thief = await registry().addUser('thief')
      await registry().as('thief').repository('thief/own').startUpload()
      // Even somebody who may push to the same repository.
      await registry().grant(thief, victim.path, 'write')
      const bytes = randomBytes(100)
      await victim.client.send('PATCH', location, { body: bytes })
      const paths = [location, location.replace('/owner/victim/', '/thief/own/')]
      const requests = (path: string): [string, string, Buffer?][] => [
        ['GET', path],
        ['PATCH', path, bytes],
        ['PUT', `${path}?digest=${digestOf(bytes)}`],
        ['PUT', `${path}?digest=${digestOf(Buffer.concat([bytes, bytes]))}`, bytes],
        ['DELETE', path],
      ]
      for (const path of paths) {
        for (const [method, url, body] of requests(path)) {
          const answer = await registry()
            .as('thief')
            .send(method, url, body ? { body } : {})
          assertRefusal(answer, 404, 'BLOB_UPLOAD_UNKNOWN')
        }
      }
      const never = await registry()
        .as('thief')
        .send('GET', `/v2/thief/own/blobs/uploads/${'A'.repeat(51)}`)
      const foreign = await registry()
        .as('thief')
        .send('GET', paths[1] ?? '')
      assert.equal(never.json().errors[0].message, foreign.json().errors[0].message)
      // Control: the same requests of the owner are served, so it was the owner who was asked for.
      assert.equal(await offsetOf(victim, location), 100)
      for (const [method, url, body] of requests(location).slice(0, 2))
        assert.ok((await victim.client.send(method, url, body ? { body } : {})).status < 300)
      const twice = digestOf(Buffer.concat([bytes, bytes]))
      assert.equal((await victim.client.send('PUT', `${location}?digest=${twice}`)).status, 201)
    })

    // case 4
    test('ids of sessions cannot be guessed: two of them share no more than chance and the second', async () => {
      const repository = registry().as('owner').repository('owner/ids')
      const ids = await Promise.all(
        Array.from({ length: 200 }, async () => (await repository.startUpload()).split('/').at(-1) ?? ''),
      )
      const randomParts = ids.map((id) => Buffer.from(id, 'base64url').subarray(0, 16).toString('hex'))
      assert.equal(new Set(randomParts).size, 200)
      for (let at = 0; at < 32; at++) assert.ok(new Set(randomParts.map((part) => part[at])).size > 8)
      // Control: the part that is a clock is found by the same look.
      const clock = ids.map((id) => Buffer.from(id, 'base64url').subarray(16, 18).toString('hex'))
      assert.ok(new Set(clock.map((part) => part[0])).size <= 8)
    })

    // case 5
    test('a changed id is no session, whichever bit was changed, and is read as nothing but bytes', async () => {
      const repository = registry().as('owner').repository('owner/tampered')
      const location = await repository.startUpload()
      const id = location.split('/').at(-1) ?? ''
      const base = location.slice(0, -id.length)
      for (let at = 0; at < id.length; at++)
        assertRefusal(await repository.client.send('GET', base + changed(id, at)), 404, 'BLOB_UPLOAD_UNKNOWN')
      for (const text of [
        '__proto__',
        'constructor',
        '{}',
        '%7B%22id%22%3A1%7D',
        `${id}A`,
        id.slice(1),
        `${id}%00`,
        'a%2f..%2fb',
        '..',
      ])
        for (const method of ['GET', 'PATCH', 'DELETE']) {
          const answer = await repository.client.send(method, base + text)
          assert.ok(answer.status === 404 || answer.status === 400, `${method} ${text}: ${answer.status}`)
          assert.match(answer.code ?? '', /^(BLOB_UPLOAD_UNKNOWN|NOT_FOUND|NAME_INVALID)$/)
        }
      assert.equal(await offsetOf(repository, location), 0)
    })
  })

  describe('upload ranges', () => {
    const registry = shareRegistry({ database })

    // case 76
    test('chunks out of order, overlapping, leaving gaps, empty or side by side leave the session as it was', async () => {
      const repository = registry().as('owner').repository('owner/ranges')
      const bytes = randomBytes(4_000)
      const location = await repository.startUpload()
      const sent: Buffer[] = []
      const send = async (method: string, start: number, end: number, status: number) => {
        const body = bytes.subarray(start, end + 1)
        sent.push(body)
        const query = method === 'PUT' ? `?digest=${digestOf(bytes)}` : ''
        const answer = await repository.client.send(method, location + query, {
          body,
          headers: { 'content-range': `${start}-${end}` },
        })
        assert.equal(answer.status, status, `${method} ${start}-${end}: ${answer.text()}`)
        return answer
      }
      for (const method of ['PATCH', 'PUT']) {
        await send(method, 1_000, 1_999, 416)
        assert.equal(await offsetOf(repository, location), 0)
      }
      await send('PATCH', 0, 999, 202)
      for (const method of ['PATCH', 'PUT']) {
        for (const [start, end] of [
          [0, 999],
          [500, 1_499],
          [999, 1_999],
          [1_001, 1_999],
          [3_000, 3_999],
        ] as const) {
          const answer = await send(method, start, end, 416)
          assert.equal(answer.headers.range, '0-999')
        }
        const empty = await repository.client.send(method, `${location}?digest=${digestOf(bytes)}`, {
          headers: { 'content-range': '1000-999' },
        })
        assertRefusal(empty, 400, 'BLOB_UPLOAD_INVALID')
        const negative = await repository.client.send(method, `${location}?digest=${digestOf(bytes)}`, {
          body: 'x',
          headers: { 'content-range': '-1-0' },
        })
        assertRefusal(negative, 400, 'BLOB_UPLOAD_INVALID')
      }
      const nothing = await repository.client.send('PATCH', location, { body: '' })
      assert.deepEqual([nothing.status, nothing.headers.range], [202, '0-999'])
      const raced = await Promise.all(
        [1, 2, 3, 4].map(() =>
          repository.client.send('PATCH', location, {
            body: bytes.subarray(1_000, 2_000),
            headers: { 'content-range': '1000-1999' },
          }),
        ),
      )
      assert.deepEqual(raced.map((answer) => answer.status).sort(), [202, 416, 416, 416])
      assert.equal(await offsetOf(repository, location), 2_000)
      await send('PUT', 2_000, 3_999, 201)
      const pulled = await repository.send('GET', `blobs/${digestOf(bytes)}`)
      assert.ok(pulled.body.equals(bytes))
      // Control: a session that appends whatever comes would hold something else.
      assert.notEqual(digestOf(Buffer.concat(sent)), digestOf(bytes))
    })
  })

  describe('uploads and restarts', () => {
    // case 104
    test('an upload goes on after a restart where it stood, in the middle of a request too', async (t) => {
      const registry = await startRegistry(t, { database })
      const bytes = randomBytes(4 * MIB)
      const half = bytes.length / 2
      const [between, within] = ['between', 'within'].map((name) => registry.as('owner').repository(`owner/${name}`))
      assert.ok(between && within)
      const stood = await between.startUpload()
      assert.equal((await between.client.send('PATCH', stood, { body: bytes.subarray(0, half) })).status, 202)
      const cut = await within.startUpload()
      const headers = { ...OWNER, expect: '100-continue', 'content-length': String(bytes.length) }
      const stream = new OpenRequest(registry.url, 'PATCH', cut, headers)
      while (!stream.isContinued) await sleep(5)
      await stream.write(bytes.subarray(0, half))
      await registry.restart()
      await assert.rejects(stream.answer)
      for (const [before, location, least] of [
        [between, stood, half],
        [within, cut, 1],
      ] as const) {
        const repository = registry.as('owner').repository(before.path)
        const offset = await offsetOf(repository, location)
        assert.ok(offset >= least && offset <= half, `${before.path} stands at ${offset}`)
        const rest = await repository.client.send('PATCH', location, {
          body: bytes.subarray(offset),
          headers: { 'content-range': `${offset}-${bytes.length - 1}` },
        })
        assert.equal(rest.status, 202, rest.text())
        // Control: a hash that began anew with the restart would be that of the rest.
        const forgetful = digestOf(bytes.subarray(offset))
        assert.notEqual(forgetful, digestOf(bytes))
        const done = await repository.client.send('PUT', `${location}?digest=${digestOf(bytes)}`)
        assert.equal(done.status, 201, done.text())
        assert.ok((await repository.send('GET', `blobs/${digestOf(bytes)}`)).body.equals(bytes))
      }
    })
  })

  describe('what others have, told by time', () => {
    const registry = shareRegistry({ database })

    // case 3
    test('finishing an upload takes as long for bytes that somebody else has as for bytes that nobody has', async (t) => {
      await registry().addUser('other')
      const secret = registry().as('other').repository('other/secret')
      const mine = registry().as('owner').repository('owner/guesses')
      const probe = async (count: number) => {
        const known: Uint8Array[] = []
        for (let at = 0; at < count; at++) {
          known.push(randomBytes(300))
          await secret.pushBlob(known[at] ?? assert.fail())
        }
        const push = async (bytes: Uint8Array) => {
          const location = await mine.startUpload()
          return async () => assert.equal((await finish(mine, location, bytes)).status, 201)
        }
        return separationOf(
          await timesOf(
            count,
            (at) => push(known[at] ?? assert.fail()),
            () => push(randomBytes(300)),
          ),
        )
      }
      const honest = await probe(100)
      assert.ok(Math.abs(honest) < TOLD, `known bytes are told from others in ${honest}`)
      // Control: a server that removes what it has twice before it answers, on a disk that takes its time.
      const { db } = registry().server.services
      const transaction = db.transaction.bind(db)
      t.mock.method(db, 'transaction', async (body: never, input: never, options: never) => {
        const outcome: unknown = await transaction(body, input, options)
        if ((body as unknown) === commitUpload && (outcome as { kept: boolean }).kept === false) await sleep(10)
        return outcome
      })
      const telltale = await probe(40)
      assert.ok(telltale > TOLD, `the probe told nothing: ${telltale}`)
    })
  })
})

describe('upload ids', () => {
  // case 5
  test('of 100,000 changed ids none is accepted, and without the MAC nearly all would be', () => {
    const secret = randomBytes(32)
    const owner = { repositoryId: 1, subject: 'user:1' }
    let accepted = 0
    let careless = 0
    for (let at = 0; at < 100_000; at++) {
      const id = randomBytes(38).toString('base64url')
      if (readUploadId(secret, owner, id) !== undefined) accepted++
      // Control: what is left of the reader when nobody compares the MAC.
      if (/^[\w-]{51}$/.test(id)) careless++
    }
    assert.equal(accepted, 0)
    assert.ok(careless > 90_000)
  })
})
