import { hasAccounts } from '../accounts/accounts.ts'
import type { Config } from '../platform/config/config.ts'
import { type Html, html } from './html.ts'
import { page, terminalLines } from './page.ts'
import type { ApiRoute } from './route.ts'

/** GET /. What this is and how to use it, for somebody who has opened the address in a browser. */
export const homeRoute: ApiRoute = {
  method: 'GET',
  path: '/',
  summary: 'A page that says what this is and how to push to it',
  access: 'open',
  reader: 'person',
  async handle({ services }) {
    const hostname = services.hostname()
    const explorer = services.config.accounts.directLogin ? '/login?next=/api/explorer' : '/api/explorer'
    const isSetUp = await services.db.read(hasAccounts, {})
    const body = html`<h1>A container registry</h1>
<p>docker, podman, buildah, skopeo and other clients of the OCI protocol push images to <code>${hostname}</code> and pull
them from it.</p>
${!isSetUp && notSetUp}
<h2>Sign in</h2>
${terminalLines(`docker login ${hostname}`)}
${pushLines({ hostname, name: 'YOUR-NAME', config: services.config })}
<h2>Pull it</h2>
${terminalLines(`docker pull ${hostname}/YOUR-NAME/alpine`)}
<h2>Everything else</h2>
<p>Organizations, teams, robot accounts and permissions are managed through the REST API, which speaks like Quay's.
<a href="${explorer}">Sign in and try it out</a>, or give a script an
<a href="/api/v1/openapi.json">OpenAPI document</a>.</p>`
    return page(200, { title: 'Longshore', body })
  },
}

const notSetUp = html`<div class="note"><p><strong>Not set up yet.</strong> There is no account. Whoever starts the server
finds a one-time link in what it prints: it leads to the form for the first one.</p></div>`

/** How a first push goes, with what surprises people about it. */
export function pushLines(options: { hostname: string; name: string; config: Config }): Html {
  const { hostname, name, config } = options
  const image = `${hostname}/${name}/alpine`
  const visibility = config.accounts.createPrivateRepoOnPush ? 'private: only you can pull from it' : 'public'
  return html`<h2>Push a first image</h2>
${terminalLines('docker pull alpine', `docker tag alpine ${image}`, `docker push ${image}`)}
<p class="quiet">The first push creates the repository. It is ${visibility}.</p>
${config.server.urlScheme === 'http' && plainHttpNote(hostname)}`
}

function plainHttpNote(hostname: string): Html {
  const remote = html`Docker refuses that for other machines until <code>${hostname}</code> is listed under
<code>insecure-registries</code> in its <code>daemon.json</code>; podman and buildah need
<code>--tls-verify=false</code>.`
  const local = html`Docker accepts that on this machine; podman and buildah need <code>--tls-verify=false</code>.`
  return html`<p class="quiet">This registry speaks plain HTTP. ${isLoopback(hostname) ? local : remote}</p>`
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(hostname)
}
