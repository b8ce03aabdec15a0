import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml'
import type { ConfigProblem } from './problem.ts'
import type { ValuePath, Written } from './value-type.ts'

/** One key of a file with its value and the places of both, written `file:line:column`. */
export interface FileEntry {
  readonly name: string
  readonly keyPlace: string
  readonly written: Written
  /** Where a part of the value stands; the nearest part that exists if `path` leads nowhere. */
  readonly placeOf: (path: ValuePath) => string
}

export interface ParsedFile {
  readonly entries: readonly FileEntry[]
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
  /** False after a syntax error: what follows one may mean something else than was meant, so nothing is read then. */
  readonly isReadable: boolean
}

/** The parser's own sentences quote the source, which may be a secret; these never do. */
const syntaxErrors: Partial<Record<YAMLError['code'], string>> = {
  BAD_DQ_ESCAPE: 'A backslash in double quotes starts an escape that does not exist. Use single quotes, or write \\\\.',
  BAD_INDENT:
    'The indentation is wrong, or a list or map was opened and not closed. Check the brackets above this line.',
  BAD_SCALAR_START: 'A value may not begin with this character. Put the value into single quotes.',
  BLOCK_AS_IMPLICIT_KEY: 'The value holds ": ", which starts a map. Put the value into single quotes.',
  MISSING_CHAR: 'A quote, bracket or comma is missing before this place.',
  MULTIPLE_DOCS: 'A second document starts here. Keep the configuration in one document: remove the "---".',
  MULTILINE_IMPLICIT_KEY: 'The name of a key goes over several lines. A colon or a closing quote is missing.',
  NON_STRING_KEY: 'The name of a key must be text.',
  TAB_AS_INDENT: 'YAML does not allow tabs for indentation. Use spaces.',
  UNEXPECTED_TOKEN: 'There is text after the end of the value. Put the whole value into single quotes.',
}

/** Reads YAML text whose top level is a map of keys. `label` is how messages name the file. Never throws. */
export function parseYamlFile(label: string, text: string): ParsedFile {
  const { document, place } = parse(label, text)
  const fatal = document.errors.filter((error) => error.code !== 'DUPLICATE_KEY')
  const warnings = document.warnings.map(
    (warning) => `${place(warning.pos[0])}: the tag of this value is not known; the value is read as if it had none.`,
  )
  if (fatal.length > 0) {
    // One slip makes the parser stumble over every following line; the first few are what has to be mended.
    const problems = fatal.slice(0, 3).map((error) => syntaxProblem(error, place))
    return { entries: [], problems, warnings, isReadable: false }
  }
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null))
    return { entries: [], problems: [], warnings, isReadable: true }
  if (!isMap(root)) {
    const message = 'The file must hold a map: one KEY: value per line.'
    return {
      entries: [],
      problems: [{ where: place(root.range[0]), key: undefined, message }],
      warnings,
      isReadable: false,
    }
  }
  const problems: ConfigProblem[] = []
  const entries: FileEntry[] = []
  const topLevelStarts = new Set<number>()
  for (const pair of root.items) {
    if (!isScalar(pair.key)) continue
    const name = String(pair.key.value)
    const start = pair.key.range?.[0] ?? 0
    topLevelStarts.add(start)
    const first = entries.find((entry) => entry.name === name)
    if (first) {
      const message = `This key stands here a second time; the first is at ${first.keyPlace}. Keep one of them.`
      problems.push({ where: place(start), key: name, message })
      continue
    }
    const written = readNode(document, pair.value)
    const placeOf = (path: ValuePath) => place(startOf(root, [name, ...path]) ?? start)
    if (written === undefined) {
      const message =
        'The value refers to an anchor (*name) that is not defined. Put it into single quotes if it is meant as text.'
      problems.push({ where: placeOf([]), key: name, message })
    } else {
      entries.push({ name, keyPlace: place(start), written, placeOf })
    }
  }
  for (const error of document.errors) {
    if (!topLevelStarts.has(error.pos[0])) problems.push(syntaxProblem(error, place))
  }
  return { entries, problems, warnings, isReadable: true }
}

/** Reads a list or map written as YAML in one text, such as an environment variable. Undefined when it is not YAML. */
export function parseYamlValue(text: string): Written | undefined {
  const { document } = parse('', text)
  return document.errors.length > 0 ? undefined : readNode(document, document.contents)
}

function parse(label: string, text: string) {
  const lineCounter = new LineCounter()
  // Pretty errors would quote the line, and a log level of `silent` would swallow a second document.
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    logLevel: 'error',
    stringKeys: true,
    merge: true,
  })
  const place = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return `${label}:${line}:${col}`
  }
  return { document, place }
}

function readNode(document: Document, node: Node | null): Written | undefined {
  try {
    // Resolving aliases fails on an unknown anchor and on a file that was built to explode.
    const value: unknown = node === null ? null : node.toJS(document)
    return { value, text: isScalar(node) ? node.source : undefined }
  } catch {
    return undefined
  }
}

function startOf(root: Node, path: ValuePath): number | undefined {
  let start: number | undefined
  for (let length = 1; length <= path.length && isMap(root); length++) {
    const node: unknown = root.getIn(path.slice(0, length), true)
    if (!isNode(node)) break
    start = node.range?.[0] ?? start
  }
  return start
}

function syntaxProblem(error: YAMLError, place: (offset: number) => string): ConfigProblem {
  const duplicate = 'A key stands twice in the same map. Keep one of them.'
  const other = 'This is not valid YAML. Check quotes, brackets and indentation up to this place.'
  const message = error.code === 'DUPLICATE_KEY' ? duplicate : (syntaxErrors[error.code] ?? other)
  return { where: place(error.pos[0]), key: undefined, message }
}
