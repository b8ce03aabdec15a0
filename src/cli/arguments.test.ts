import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findCommand, parseArguments, toInvocation } from './arguments.ts'
import { UsageError } from './command.ts'
import { commands } from './commands.ts'

const here = { env: {}, cwd: '/somewhere' }

function invoke(...argv: string[]) {
  const parsed = parseArguments(argv, commands)
  const { command, rest } = findCommand(parsed.words, commands)
  return { name: command.words.join(' '), ...toInvocation(command, rest, parsed, here) }
}

function refuses(argv: string[], message: RegExp) {
  assert.throws(
    () => invoke(...argv),
    (error) => error instanceof UsageError && message.test(error.message),
    argv.join(' '),
  )
}

describe('the command line', () => {
  test('options stand anywhere, with a space or an equals sign, and keys of the configuration become its flags', () => {
    const invocation = invoke(
      '--output=json',
      'user',
      'create',
      'alice',
      '--data',
      '/d',
      '--email',
      'a=b@example.com',
      '--metrics=',
    )
    assert.equal(invocation.name, 'user create')
    assert.deepEqual(invocation.args, ['alice'])
    assert.equal(invocation.output, 'json')
    assert.deepEqual(invocation.config.flags, { data: '/d', metrics: '' })
    assert.equal(invocation.values.get('email'), 'a=b@example.com')
  })

  test('behind two dashes everything is a word', () => {
    assert.deepEqual(invoke('user', 'create', '--', '--odd').args, ['--odd'])
  })

  test('an unknown command is refused with the nearest one', () => {
    refuses(['sreve'], /no command "sreve".*Did you mean "serve"\?/)
    refuses(['user', 'craete', 'x'], /Did you mean "user create"\?/)
    refuses(['config'], /"config" needs one of: check, explain, schema/)
    refuses(['zzzzzzzzzzzz'], /"longshore help" lists all commands/)
  })

  test('an unknown option is refused with the nearest one, also where another command has it', () => {
    refuses(['serve', '--lisen', 'x'], /no option --lisen.*--listen/)
    refuses(['version', '--email', 'x'], /"version" has no option --email/)
    refuses(['serve', '-x'], /no option -x/)
  })

  test('an option without its value, with one too many, or given twice is refused', () => {
    refuses(['serve', '--listen'], /--listen lacks its value/)
    refuses(['serve', '--listen', '--data', 'x'], /--listen lacks its value/)
    refuses(['user', 'create', 'x', '--generate=yes'], /takes no value/)
    refuses(['serve', '--data', 'a', '--data', 'b'], /given twice/)
    refuses(['version', '--output', 'yaml'], /table and json/)
  })

  test('missing and superfluous arguments are refused with the usage', () => {
    refuses(['user', 'create'], /needs NAME\. Usage: longshore user create NAME/)
    refuses(['user', 'create', 'a', 'b'], /does not know what to do with "b"/)
  })

  test('secrets have no option: every user of the machine could read it', () => {
    refuses(['serve', '--secret-key', 'x'], /no option --secret-key/)
    refuses(['serve', '--db-uri', 'x'], /no option --db-uri/)
  })
})
