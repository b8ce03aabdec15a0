/** Keeps docs/parity.md honest: complete, in its own format, and every promise shown by a test that exists. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'

const CLAIM_COUNT = 218
const HEADER = '| # | Claim | State | Shown by |'
const ROOT = new URL('../', import.meta.url)

type Proof = { path: string; name: string }
type Claim = { line: number; number: number; proofs: Proof[] }
/** Returns a file's text, or `undefined` where there is no such file. The path is relative to the repository. */
type ReadSource = (path: string) => Promise<string | undefined>

/** Reads every table line of the page. A line it cannot read is a problem, never skipped: a typo must not hide a claim. */
function parsePage(text: string): { claims: Claim[]; problems: string[] } {
  const claims: Claim[] = []
  const problems: string[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const content = raw.trim()
    if (!content.startsWith('|') || content === HEADER || /^\|(?::?-+:?\|)+$/.test(content)) continue
    const line = index + 1
    const cells = content.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
    const [, number = '', claim = '', state = '', shownBy = ''] = cells
    if (cells.length !== 6 || cells[5] !== '' || !/^[1-9]\d*$/.test(number) || claim === '') {
      problems.push(`line ${line}: not a claim; write | number | claim | state | shown by |, inner bars as \\|`)
      continue
    }
    const proofs = parseProofs(shownBy)
    problems.push(...judgeRow(state, shownBy, proofs).map((problem) => `line ${line}, claim ${number}: ${problem}`))
    claims.push({ line, number: Number(number), proofs: proofs ?? [] })
  }
  return { claims, problems }
}

/** The tests a cell names, or `undefined` where it holds anything else. An empty cell names none. */
function parseProofs(cell: string): Proof[] | undefined {
  if (cell === '') return []
  const proofs: Proof[] = []
  for (const part of cell.split('<br>')) {
    const [, path, name] = /^`((?:src|test|web)\/[\w./-]+\.test\.tsx?): ([^`]+)`$/.exec(part.trim()) ?? []
    if (path === undefined || name === undefined || path.includes('..')) return undefined
    proofs.push({ path, name })
  }
  return proofs
}

function judgeRow(state: string, shownBy: string, proofs: Proof[] | undefined): string[] {
  const isProven = state === 'works' || /^differs: \S/.test(state)
  if (!isProven && !/^not yet(?:: \S.*)?$/.test(state)) {
    return [`"${state}" is no state; use works, differs: <reason>, not yet or not yet: <note>`]
  }
  if (!isProven) return shownBy === '' ? [] : ['what is not yet true has no test to show it; empty the last cell']
  if (proofs === undefined) return [`"${shownBy}" names no test; write \`path: test name\`, several joined by <br>`]
  return proofs.length > 0 ? [] : [`"${state}" needs a test that shows it; name one, or say not yet`]
}

/** Says where the numbers leave the sequence 1, 2, 3 ... `count`, or stop before its end. */
function judgeNumbers(claims: Claim[], count: number): string[] {
  const strays = claims.filter(({ number }, index) => number !== index + 1 || number > count)
  const problems = strays.map(({ line, number }) => `line ${line}: claim ${number} is out of order, doubled or unknown`)
  if (claims.length !== count) problems.push(`the page has ${claims.length} claims and must have ${count}`)
  return problems
}

/** Says which named tests do not exist. */
async function judgeProofs(claims: Claim[], readSource: ReadSource): Promise<string[]> {
  const problems: string[] = []
  for (const { line, number, proofs } of claims) {
    for (const { path, name } of proofs) {
      const source = await readSource(path)
      if (source !== undefined && testNames(source).has(name)) continue
      const reason = source === undefined ? 'that file does not exist' : 'that file has no such test, or skips it'
      problems.push(`line ${line}, claim ${number}: ${path}: ${name}: ${reason}; correct the name, or say not yet`)
    }
  }
  return problems
}

/** The names of the tests that a source text runs. Skipped ones, and those in comments, show nothing and are left out. */
function testNames(source: string): Set<string> {
  const names = new Set<string>()
  const call = /(?<![.\w$])test\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,\s*(\{[^}]*\b(?:skip|todo)\b)?/g
  for (const { index, 2: name = '', 3: idle } of source.matchAll(call)) {
    const before = source.slice(source.lastIndexOf('\n', index) + 1, index)
    if (idle === undefined && !/\/\/|^\s*\/?\*/.test(before)) names.add(name.replaceAll(/\\(.)/g, '$1'))
  }
  return names
}

async function readRepositoryFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(new URL(path, ROOT), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

describe('the parity page', () => {
  const readPage = async () => parsePage(await readFile(new URL('docs/parity.md', ROOT), 'utf8'))

  test('every line is a claim in one of the three states, with tests exactly where the state needs them', async () => {
    assert.deepEqual((await readPage()).problems, [])
  })

  test(`every claim from 1 to ${CLAIM_COUNT} stands there once and in order`, async () => {
    assert.deepEqual(judgeNumbers((await readPage()).claims, CLAIM_COUNT), [])
  })

  test('every test that it names exists', async () => {
    assert.deepEqual(await judgeProofs((await readPage()).claims, readRepositoryFile), [])
  })
})

describe('the check of the parity page', () => {
  const proof = '`test/a.test.ts: it holds`'
  const sound = [
    `| 1 | pulls | works | ${proof}<br>\`src/b/b.test.ts: b \\| c\` |`,
    `| 2 | counts | differs: from the push | ${proof} |`,
    '| 3 | logs | not yet | |',
    '| 4 | mails | not yet: will differ | |',
  ]
  const page = (rows: string[]) => ['# Parity', '', HEADER, '|---:|---|---|---|', ...rows, ''].join('\n')

  test('a sound page has no problem, and its cells are read as they are meant', () => {
    const { claims, problems } = parsePage(page(sound))
    assert.deepEqual([...problems, ...judgeNumbers(claims, 4)], [])
    assert.deepEqual(claims[0]?.proofs, [
      { path: 'test/a.test.ts', name: 'it holds' },
      { path: 'src/b/b.test.ts', name: 'b | c' },
    ])
  })

  const brokenRows: [rule: string, row: string, complaint: RegExp][] = [
    ['a state of our own making is refused', '| 1 | a | partly | |', /"partly" is no state/],
    ['a works with a remark is refused', `| 1 | a | works: mostly | ${proof} |`, /is no state/],
    ['a difference without a reason is refused', `| 1 | a | differs: | ${proof} |`, /is no state/],
    ['a works without a test is refused', '| 1 | a | works | |', /needs a test/],
    ['a differs without a test is refused', '| 1 | a | differs: later | |', /needs a test/],
    ['a test outside a code span is refused', '| 1 | a | works | test/a.test.ts: b |', /names no test/],
    ['a file that is no test is refused', '| 1 | a | works | `src/a.ts: b` |', /names no test/],
    ['a path that climbs out is refused', '| 1 | a | works | `test/../../a.test.ts: b` |', /names no test/],
    ['a not yet that names a test is refused', `| 1 | a | not yet | ${proof} |`, /empty the last cell/],
    ['a number that is none is refused', '| 1a | a | not yet | |', /line 5: not a claim/],
    ['an empty claim is refused', '| 1 | | not yet | |', /line 5: not a claim/],
    ['a line with a cell too few is refused', '| 1 | a | not yet |', /line 5: not a claim/],
    ['a line with a cell too many is refused', '| 1 | a | not yet | | |', /line 5: not a claim/],
  ]
  for (const [rule, row, complaint] of brokenRows) {
    test(rule, () => {
      const { problems } = parsePage(page([row]))
      assert.equal(problems.length, 1)
      assert.match(problems[0] ?? '', complaint)
    })
  }

  const brokenOrders: [rule: string, numbers: number[]][] = [
    ['a missing number is noticed', [1, 3]],
    ['a number missing at the end is noticed', [1, 2]],
    ['a doubled number is noticed', [1, 2, 2]],
    ['swapped numbers are noticed', [2, 1, 3]],
    ['a number beyond the last is noticed', [1, 2, 3, 4]],
    ['a page without claims is noticed', []],
  ]
  for (const [rule, numbers] of brokenOrders) {
    test(rule, () => {
      const { claims } = parsePage(page(numbers.map((number) => `| ${number} | a | not yet | |`)))
      assert.notDeepEqual(judgeNumbers(claims, 3), [])
    })
  }

  test('a named test that is missing, in a missing file, skipped, or only mentioned is noticed', async () => {
    const { claims } = parsePage(page(sound.slice(1, 2)))
    const judge = (source: string | undefined) => judgeProofs(claims, async () => source)
    assert.deepEqual(await judge("test('it holds', () => {})"), [])
    assert.match((await judge(undefined))[0] ?? '', /does not exist/)
    const others = ["test('it holds not', f)", "/it/.test('it holds', f)", "test.skip('it holds', f)", "'it holds'"]
    const idle = ["// test('it holds', f)", " * test('it holds', f)", "test('it holds', { timeout: 9, skip: true }, f)"]
    for (const source of [...others, ...idle]) assert.match((await judge(source))[0] ?? '', /no such test/, source)
  })

  test('test names are found in all three quotes, over line breaks and with escaped quotes', () => {
    const source = ["test('a', f)", 'test(\n  "b\'s", f)', '  test(`c`, { timeout: 9 }, f)', "test('d\\'s', f)"].join(
      '\n',
    )
    assert.deepEqual([...testNames(source)], ['a', "b's", 'c', "d's"])
  })
})
