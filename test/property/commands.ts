import assert from 'node:assert/strict'
import fc from 'fast-check'
import { letEverythingRunOut } from '../integration/gc-support.ts'
import type { TestRepository } from '../support/client.ts'
import type { TestRegistry } from '../support/registry.ts'
import type { Expected, Model } from './model.ts'
import { BLOBS, DOCUMENTS, REPOSITORIES, TAGS } from './universe.ts'

/** The server, and where in it a sequence plays. */
export interface Real {
  readonly registry: TestRegistry
  readonly prefix: string
}

type Run = (model: Model, real: Real) => Promise<void>

/** One command: does it to the server, holds the answer against the model, and looks at all that it may have touched. */
class Step implements fc.AsyncCommand<Model, Real> {
  readonly #name: string
  readonly #run: Run

  constructor(name: string, run: Run) {
    this.#name = name
    this.#run = run
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.#run(model, real)
    for (let repository = 0; repository < REPOSITORIES; repository++) await compare(model, real, repository)
  }

  toString(): string {
    return this.#name
  }
}

const at = (real: Real, repository: number): TestRepository =>
  real.registry.as('owner').repository(`${real.prefix}-${repository}`)
const now = (real: Real) => real.registry.clock.nowMs()

/** The answer must be the one for what is expected; where both are allowed it says which it was. */
function settle(expected: Expected, status: number, there: number, gone: number, what: string): boolean {
  const allowed = expected === 'there' ? [there] : expected === 'gone' ? [gone] : [there, gone]
  assert.ok(allowed.includes(status), `${what}: expected ${allowed.join(' or ')}, but the answer was ${status}`)
  return status === there
}

/** Reads everything of a repository. */
export async function compare(model: Model, real: Real, repository: number): Promise<void> {
  const target = at(real, repository)
  const nowMs = now(real)
  const { tags } = model.of(repository)
  const reads = [
    ...model.universe.blobs.map(async ({ digest, text }, blob) => {
      const answer = await target.send('GET', `blobs/${digest}`)
      const there = settle(
        model.blob(repository, blob, nowMs),
        answer.status,
        200,
        404,
        `blob ${blob} of ${repository}`,
      )
      if (there) assert.equal(answer.text(), text)
    }),
    ...model.universe.documents.map(async ({ digest, manifest }, document) => {
      const answer = await target.send('GET', `manifests/${digest}`)
      const expected = model.manifest(repository, document, nowMs)
      const there = settle(expected, answer.status, 200, 404, `document ${document} of ${repository}`)
      if (there) assert.equal(answer.text(), manifest)
    }),
    ...TAGS.map(async (tag) => {
      const named = tags.get(tag)
      const expected = named === undefined ? undefined : model.document(named).digest
      assert.equal(await target.resolve(tag), expected, `tag ${tag} of ${repository}`)
    }),
  ]
  await Promise.all(reads)
}

const repositories = fc.nat(REPOSITORIES - 1)
const blobs = fc.nat(BLOBS - 1)
const documents = fc.nat(DOCUMENTS - 1)
const tags = fc.constantFrom(...TAGS)

const pushBlob = fc.tuple(repositories, blobs).map(
  ([repository, blob]) =>
    new Step(`push blob ${blob} to ${repository}`, async (model, real) => {
      await at(real, repository).pushBlob(model.universe.blobs[blob]?.text ?? '')
      model.promiseBlob(repository, blob, now(real))
    }),
)

/** A push as clients make it: what is missing first. */
const pushWhole = fc.tuple(repositories, documents, tags).map(
  ([repository, document, tag]) =>
    new Step(`push document ${document} with all it names to ${repository} as ${tag}`, async (model, real) => {
      const pushTree = async (one: number, reference: string | undefined): Promise<void> => {
        const { blobs: needed, children } = model.document(one)
        for (const blob of needed) {
          await at(real, repository).pushBlob(model.universe.blobs[blob]?.text ?? '')
          model.promiseBlob(repository, blob, now(real))
        }
        for (const child of children) await pushTree(child, undefined)
        await putDocument(model, real, repository, one, reference)
      }
      await pushTree(document, tag)
    }),
)

const pushManifest = fc
  .tuple(repositories, documents, fc.option(tags, { nil: undefined }))
  .map(
    ([repository, document, tag]) =>
      new Step(`put document ${document} to ${repository} ${tag ? `as ${tag}` : 'by digest'}`, (model, real) =>
        putDocument(model, real, repository, document, tag),
      ),
  )

async function putDocument(
  model: Model,
  real: Real,
  repository: number,
  document: number,
  tag: string | undefined,
): Promise<void> {
  const wanted = model.document(document)
  const nowMs = now(real)
  const known = model.manifest(repository, document, nowMs)
  // What is served is whole, so it can always be pushed again.
  const expected = known === 'there' ? 'there' : model.closure(repository, document, nowMs)
  const answer = await at(real, repository).tryPutManifest(wanted, tag ?? wanted.digest)
  if (settle(expected, answer.status, 201, 404, `put of ${document}`))
    model.accept(repository, document, tag, now(real))
}

/** With a source only that one counts; without one the registry looks among what the caller owns. */
const mount = fc.tuple(repositories, blobs, fc.boolean()).map(
  ([from, blob, isNamed]) =>
    new Step(`mount blob ${blob} ${isNamed ? `from ${from}` : 'from anywhere'}`, async (model, real) => {
      const to = (from + 1) % REPOSITORIES
      const states = (isNamed ? [from] : [to, from]).map((one) => model.blob(one, blob, now(real)))
      const expected = states.includes('there') ? 'there' : states.includes('may') ? 'may' : 'gone'
      const source = isNamed ? `&from=${encodeURIComponent(at(real, from).path)}` : ''
      const digest = model.universe.blobs[blob]?.digest
      const answer = await at(real, to).send('POST', `blobs/uploads/?mount=${digest}${source}`)
      if (settle(expected, answer.status, 201, 202, `mount of ${blob}`)) model.promiseBlob(to, blob, now(real))
      else await real.registry.as('owner').send('DELETE', answer.headers.location ?? '')
    }),
)

const headBlob = fc.tuple(repositories, blobs).map(
  ([repository, blob]) =>
    new Step(`ask for blob ${blob} of ${repository}`, async (model, real) => {
      const expected = model.blob(repository, blob, now(real))
      const answer = await at(real, repository).send('HEAD', `blobs/${model.universe.blobs[blob]?.digest}`)
      if (settle(expected, answer.status, 200, 404, `HEAD of ${blob}`)) model.renewBlob(repository, blob, now(real))
    }),
)

const deleteTag = fc.tuple(repositories, tags).map(
  ([repository, tag]) =>
    new Step(`delete tag ${tag} of ${repository}`, async (model, real) => {
      const expected = model.of(repository).tags.has(tag) ? 'there' : 'gone'
      const answer = await at(real, repository).send('DELETE', `manifests/${tag}`)
      if (settle(expected, answer.status, 202, 404, `delete of ${tag}`)) model.untag(repository, tag, now(real))
    }),
)

const deleteDocument = fc.tuple(repositories, documents).map(
  ([repository, document]) =>
    new Step(`delete document ${document} of ${repository}`, async (model, real) => {
      const nowMs = now(real)
      const expected = model.manifest(repository, document, nowMs)
      const parents = model.parents(repository, document, nowMs)
      const answer = await at(real, repository).send('DELETE', `manifests/${model.document(document).digest}`)
      if (expected !== 'gone' && parents.includes('there')) return assert.equal(answer.status, 409)
      // An index that may be gone may still refuse it.
      if (answer.status === 409) return assert.ok(expected !== 'gone' && parents.includes('may'))
      if (settle(expected, answer.status, 202, 404, `delete of ${document}`)) model.deleteManifest(repository, document)
    }),
)

const deleteBlob = fc.tuple(repositories, blobs).map(
  ([repository, blob]) =>
    new Step(`delete blob ${blob} of ${repository}`, async (model, real) => {
      const { manifests, blobs: promised } = model.of(repository)
      const nowMs = now(real)
      const expected = model.blob(repository, blob, nowMs)
      const isHeld = [...manifests.keys()].some(
        (one) => model.document(one).blobs.includes(blob) && model.manifest(repository, one, nowMs) === 'there',
      )
      const answer = await at(real, repository).send('DELETE', `blobs/${model.universe.blobs[blob]?.digest}`)
      if (isHeld) return assert.equal(answer.status, 405)
      // A deleted image holds its blobs until it is collected.
      if (answer.status === 405) return assert.ok(model.wasNamed(repository, blob))
      if (settle(expected, answer.status, 202, 404, `delete of ${blob}`)) promised.delete(blob)
    }),
)

const HOUR_MS = 3_600_000
const wait = fc
  .constantFrom(2, 13, 30)
  .map((hours) => new Step(`${hours} hours pass`, (_, real) => real.registry.pass(hours * HOUR_MS)))
const collect = fc.constant(new Step('collect', (_, real) => real.registry.collect()))
const restart = fc.constant(new Step('restart', (_, real) => real.registry.restart()))
const runOut = fc.constant(
  new Step('let everything run out', async (model, real) => {
    await letEverythingRunOut(real.registry)
    model.forgetUnreachable(now(real))
  }),
)

/** Sequences of at most `maxCommands`. Restarts are rare, since they take as long as everything else together. */
export function sequences(maxCommands: number) {
  const common = [pushBlob, pushWhole, pushWhole, pushManifest, pushManifest, mount, headBlob, deleteTag]
  return fc.commands([...common, deleteDocument, deleteBlob, wait, collect, collect, runOut, wait, restart], {
    maxCommands,
    size: 'max',
  })
}
