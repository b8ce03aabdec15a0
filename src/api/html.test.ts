import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { html } from './html.ts'

describe('html', () => {
  test('values are escaped between tags and inside of attributes', () => {
    const evil = `"><script>alert('1')&`
    const escaped = '&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&amp;'
    assert.equal(html`<p title="${evil}">${evil}</p>`.text, `<p title="${escaped}">${escaped}</p>`)
  })

  test('what html has made is not escaped again, also in lists; undefined and false leave nothing', () => {
    const items = ['a', '<'].map((text) => html`<li>${text}</li>`)
    assert.equal(html`<ul>${items}</ul>${undefined}${false}${0}`.text, '<ul><li>a</li><li>&lt;</li></ul>0')
  })
})
