import type { CreatedUser } from '../accounts/accounts.ts'
import type { Reply } from '../platform/reply.ts'
import { pushLines } from './home.routes.ts'
import { type Html, html } from './html.ts'
import { page, terminalLines } from './page.ts'
import type { ApiServices } from './services.ts'

export type SetupField = 'name' | 'email' | 'password' | 'repeat'

/** What is shown in the form. Passwords are never shown again, so they are not part of it. */
export interface SetupView {
  readonly token: string
  readonly name: string
  readonly email: string
  /** One sentence per field that is wrong; `undefined` for the fields that are fine. */
  readonly errors: Readonly<Partial<Record<SetupField, string>>>
}

/** The name that the form proposes: the first one that the operator has planned to be a superuser, else `quay`. */
export function proposedName(superUsers: readonly string[]): string {
  return superUsers[0] ?? 'quay'
}

/** The form for the first account. With errors it is 422, says so at the top and puts the cursor into the first field that is wrong. */
export function setupFormPage(services: ApiServices, view: SetupView): Reply {
  const { config } = services
  const firstWrong = fieldOrder.find((field) => view.errors[field] !== undefined)
  const input = (field: SetupField, options: Omit<InputOptions, 'field' | 'error' | 'focus'>) =>
    renderField({ field, error: view.errors[field], focus: field === firstWrong, ...options })
  const body = html`<h1>Create the first account</h1>
<p>This registry is new. The link that brought you here creates its first account, and works only once.</p>
${firstWrong !== undefined && summary(view.errors)}
<form method="post" action="/setup" novalidate>
<input type="hidden" name="token" value="${view.token}">
${input('name', {
  label: html`User name`,
  type: 'text',
  value: view.name,
  hint: nameHint(services.hostname(), config.accounts.superUsers),
  attributes: html`required maxlength="255" autocomplete="username" autocapitalize="none" spellcheck="false"`,
})}
${input('email', {
  label: html`E-mail address <span class="quiet">(optional)</span>`,
  type: 'email',
  value: view.email,
  attributes: html`maxlength="254" autocomplete="email"`,
})}
${input('password', {
  label: html`Password`,
  type: 'password',
  hint: html`At least 8 characters, without spaces.`,
  attributes: html`required autocomplete="new-password"`,
})}
${input('repeat', {
  label: html`Password again`,
  type: 'password',
  attributes: html`required autocomplete="new-password"`,
})}
<button type="submit">Create the account</button>
</form>`
  const title = 'Create the first account'
  return page(firstWrong === undefined ? 200 : 422, {
    title: firstWrong === undefined ? title : `Error: ${title}`,
    body,
  })
}

const fieldOrder: readonly SetupField[] = ['name', 'email', 'password', 'repeat']

function nameHint(hostname: string, superUsers: readonly string[]): Html {
  const becomes = html`It stands in the names of images, as in <code>${hostname}/NAME/alpine</code>.`
  if (superUsers.length === 0) return becomes
  const names = superUsers.map((name, index) => html`${index > 0 && ', '}<code>${name}</code>`)
  const users =
    superUsers.length === 1 ? 'The user of this name becomes a superuser' : 'Users of these names become superusers'
  return html`${becomes} The configuration lists ${names} in SUPER_USERS. ${users}.`
}

function summary(errors: SetupView['errors']): Html {
  const entries = fieldOrder.flatMap((field) => {
    const sentence = errors[field]
    return sentence === undefined ? [] : [html`<li><a href="#${field}">${sentence}</a></li>`]
  })
  return html`<div class="summary" role="alert"><p>The account was not created:</p><ul>${entries}</ul>
<p class="after">Passwords are not kept: type them again.</p></div>`
}

interface InputOptions {
  readonly field: SetupField
  readonly label: Html
  readonly type: 'text' | 'email' | 'password'
  readonly value?: string
  readonly hint?: Html
  readonly error: string | undefined
  readonly focus: boolean
  readonly attributes: Html
}

function renderField({ field, label, type, value, hint, error, focus, attributes }: InputOptions): Html {
  const described = [hint && `${field}-hint`, error && `${field}-error`].filter((id) => id !== undefined)
  return html`<div class="field">
<label for="${field}">${label}</label>
${hint && html`<p class="hint" id="${field}-hint">${hint}</p>`}
${error !== undefined && html`<p class="error" id="${field}-error">${error}</p>`}
<input id="${field}" name="${field}" type="${type}"${value !== undefined && html` value="${value}"`} ${attributes}${
    described.length > 0 && html` aria-describedby="${described.join(' ')}"`
  }${error !== undefined && html` aria-invalid="true"`}${focus && html` autofocus`}>
</div>`
}

/** After the account was made. */
export function setupDonePage(services: ApiServices, user: CreatedUser): Reply {
  const hostname = services.hostname()
  const body = html`<h1>The account ${user.name} is ready</h1>
<p>The registry can be used now. Sign in with the password that you have just chosen:</p>
${terminalLines(`docker login ${hostname} -u ${user.name}`)}
${pushLines({ hostname, name: user.name, config: services.config })}`
  return page(201, { title: 'The account is ready', body })
}

/** Setup is over: the link leads nowhere any more. */
export function setupClosedPage(services: ApiServices): Reply {
  const body = html`<h1>This registry has been set up</h1>
<p>There is an account already, so the first one cannot be created again. Sign in with it:</p>
${terminalLines(`docker login ${services.hostname()}`)}
<p class="quiet">Whoever runs the server creates more accounts with <code>longshore user create NAME</code>.</p>`
  return page(410, { title: 'Set up already', body })
}

/** Somebody came without the link, or with one that does not count any more. */
export function setupLinkPage(given: 'none' | 'wrong'): Reply {
  const body = html`<h1>Setup needs its link</h1>
${given === 'wrong' && html`<p><strong>This link does not count.</strong> Each start of the server makes a new one, and only the last one works.</p>`}
<p>The first account is created through a one-time link, so that nobody else can come first. The server prints it when it
starts, as long as there is no account:</p>
<ul>
<li>in a terminal, right below the line that says where the registry is;</li>
<li>started by systemd, in the journal of its unit; in a container, in the log of the container.</li>
</ul>
<p>If it is lost, start the server again: it prints a new one.</p>`
  return page(403, { title: 'Setup needs its link', body })
}
