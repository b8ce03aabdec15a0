import { showValue } from './explain.ts'
import { flagOf, type Key, type KeySection, keys } from './keys.ts'
import { quayKeys } from './quay-keys.ts'

const titles: Record<KeySection, string> = {
  server: 'Server',
  data: 'Data directory',
  database: 'Database',
  secrets: 'Secrets',
  storage: 'Storage',
  accounts: 'Accounts and access',
  api: 'REST API and pages',
  mail: 'Mail',
  registry: 'Registry protocol',
  tokens: 'Bearer tokens',
  tags: 'Tags',
  gc: 'Garbage collection',
  rateLimits: 'Rate limits',
  log: 'Logs',
}

const introduction = `# Configuration

Longshore starts without any configuration. What you want to change goes into \`config.yaml\`, one \`KEY: value\` per
line. The server takes \`config.yaml\` from the directory it is started in, or the file named by \`--config\`.

Keys carry the names that Quay gives them wherever the meaning is the same, so a file of Quay can be used as it is: keys
that this release does not honour yet are named in a warning and ignored. Any other unknown key stops the start, with
its line and the key that was probably meant.

| To | run |
|---|---|
| check a file without starting | \`longshore config check --config config.yaml\` |
| see every value in force, and where it came from | \`longshore config explain\` |
| get a JSON Schema for your editor | \`longshore config schema\` |

## Where a value comes from

The first that gives one wins:

1. the command line option, for example \`--log-level debug\`;
2. the environment variable \`LONGSHORE_<KEY>\`, for example \`LONGSHORE_LOG_LEVEL=debug\`; lists and maps are written as
   YAML, for example \`LONGSHORE_SUPER_USERS='[alice, bob]'\`; an empty variable counts as not set;
3. the file;
4. the default.

A secret (marked *secret* below) can also be kept in a file of its own that \`LONGSHORE_<KEY>_FILE\` names; one newline at
its end is dropped. It is never accepted on the command line, which every user of the machine can read.

## How values are written

- **Durations** are a whole number and a unit: \`30s\`, \`5m\` (minutes), \`1h\`, \`1d\`, \`2w\`.
- **Sizes** are bytes, or a whole number with \`K\`, \`M\`, \`G\` or \`T\`, which are powers of 1024: \`4M\` and \`4Mi\` are 4,194,304.
- **Switches** are \`true\` or \`false\`; \`yes\`, \`no\`, \`on\` and \`off\` are understood.
- **Relative paths** start at the folder of the file that holds them, on the command line and in the environment at the
  working directory. Those of the database and of storage locations start at \`DATA_DIR\`.
- A key without a value counts as not set.
`

/** The text of docs/configuration.md: everything in it about keys comes from the table. */
export function configurationMarkdown(): string {
  const definitions = Object.values<Key<unknown>>(keys)
  const sections = [...new Set(definitions.map((key) => key.section))].map((section) => {
    const rows = definitions.filter((key) => key.section === section).map(renderRow)
    return `## ${titles[section]}\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  const honoured = new Set(definitions.map((key) => key.name))
  const ignored = [...quayKeys].filter((name) => !honoured.has(name)).map((name) => `\`${name}\``)
  return [
    '<!-- Generated from src/platform/config/keys.ts by "npm run docs". Do not edit: a test compares it. -->',
    introduction,
    ...sections,
    `## Keys of Quay that are ignored with a warning\n\nAlso every \`<NAME>_LOGIN_CONFIG\`.\n\n${ignored.join(',\n')}\n`,
  ].join('\n')
}

function renderRow(key: Key<unknown>): string {
  const range = key.type.range === undefined ? '' : `<br>${key.type.range}`
  const marks = [
    ...(key.origin === 'quay' ? ["Quay's key"] : []),
    ...(key.type.redact ? ['*secret*'] : [`\`--${flagOf(key)}\``]),
  ]
  const fallback = key.fallbackNote ?? (key.fallback === undefined ? '' : `\`${showValue(key.fallback)}\``)
  const cells = [`\`${key.name}\`<br>${marks.join(', ')}`, `${key.type.label}${range}`, fallback, key.help]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
