import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseYamlFile, parseYamlValue } from './yaml-file.ts'

function problemsOf(text: string): string[] {
  return parseYamlFile('c.yaml', text).problems.map((problem) => `${problem.where} ${problem.message}`)
}

describe('configuration files', () => {
  test('places of keys, values and parts of values are line and column', () => {
    const { entries } = parseYamlFile('c.yaml', '# first\nA: 1\nB:\n  - x\n  - {y: z}\n')
    assert.deepEqual(
      entries.map((entry) => entry.keyPlace),
      ['c.yaml:2:1', 'c.yaml:3:1'],
    )
    const places = [[], [0], [1], [1, 'y'], [1, 'missing'], [7]].map((path) => entries[1]?.placeOf(path))
    assert.deepEqual(places, ['c.yaml:4:3', 'c.yaml:4:5', 'c.yaml:5:5', 'c.yaml:5:9', 'c.yaml:5:5', 'c.yaml:4:3'])
  })

  test('an empty file and one of comments hold nothing and are fine', () => {
    for (const text of ['', '\n\n', '# nothing\n', '---\n', '\ufeff']) {
      const parsed = parseYamlFile('c.yaml', text)
      assert.deepEqual([parsed.entries, parsed.problems, parsed.isReadable], [[], [], true], JSON.stringify(text))
    }
  })

  test('a file that is not a map is refused', () => {
    for (const text of ['- a\n', 'text\n', '12'])
      assert.match(problemsOf(text)[0] ?? '', /c\.yaml:1:1 .*must hold a map/)
  })

  test('a key that stands twice is refused with both places', () => {
    assert.deepEqual(problemsOf('A: 1\nB: 2\nA: 3\n'), [
      'c.yaml:3:1 This key stands here a second time; the first is at c.yaml:1:1. Keep one of them.',
    ])
    assert.match(problemsOf('A: {x: 1, x: 2}\n')[0] ?? '', /^c\.yaml:1:11 A key stands twice/)
  })

  test('a syntax error is told with its place and without any text of the file', () => {
    const texts = [
      'S: @hunter2',
      'S: "hunter2\nA: 1',
      'S: [hunter2\nA: 1',
      'S: a: hunter2',
      "S: 'hun'hunter2",
      'A:\n\tS: hunter2',
      'A: 1\n---\nS: hunter2',
      '? [hunter2]\n: 1',
      'S: "\\hunter2"',
      'S: *hunter2',
      'S: %hunter2\n  x: : y',
    ]
    for (const text of texts) {
      const problems = problemsOf(text)
      assert.notEqual(problems.length, 0, text)
      for (const problem of problems) {
        assert.match(problem, /^c\.yaml:\d+:\d+ [A-Z]/)
        assert.doesNotMatch(problem, /hunter2/)
      }
    }
  })

  test('aliases that multiply beyond reason are refused and not expanded', () => {
    const levels = 'abcdefghij'.split('')
    const lines = levels.map((name, index) => {
      const previous = levels[index - 1]
      const items = previous === undefined ? 'x' : Array(10).fill(`*${previous}`).join(', ')
      return `${name.toUpperCase()}: &${name} [${items}]`
    })
    assert.notEqual(problemsOf(lines.join('\n')).length, 0)
  })

  test('a long number keeps its digits', () => {
    const { entries } = parseYamlFile('c.yaml', 'SECRET_KEY: 123456789012345678901234567890\n')
    assert.equal(entries[0]?.written.text, '123456789012345678901234567890')
  })

  test('a list or map in one text is read as YAML, and what is not YAML gives nothing', () => {
    assert.deepEqual(parseYamlValue('[a, b]')?.value, ['a', 'b'])
    assert.deepEqual(parseYamlValue('{a: [B, {c: d}]}')?.value, { a: ['B', { c: 'd' }] })
    assert.equal(parseYamlValue('[a'), undefined)
  })
})
