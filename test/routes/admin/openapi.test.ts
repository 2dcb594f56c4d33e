// The OpenAPI document and its pages, as the server gives them.
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { startAdmin } from '../../fixtures/admin-session.ts'

t.test('the document is served to everybody and is the one that the routes declare', async (t) => {
  const session = await startAdmin(t)
  const { status, body, headers } = await session.inject({ url: '/admin/v1/openapi.json' })
  t.equal(status, 200)
  t.match(headers['content-type'], /^application\/json/)
  t.equal(at(body, 'openapi'), '3.1.0')
  t.strictSame(body, JSON.parse(JSON.stringify(session.planes.control.swagger())))
  for (const { id, spec, isPublic } of session.contract.operations) {
    t.strictSame(at(spec, 'security'), isPublic ? [] : [{ token: [] }], id)
    if (!isPublic)
      for (const code of ['400', '401', '403', '429', '500', '503']) t.ok(at(spec, 'responses', code), `${id} ${code}`)
  }
})

t.test('the pages are there', async (t) => {
  const session = await startAdmin(t)
  const { control } = session.planes
  let url = '/admin/v1/docs'
  let response = await control.inject(url)
  while (response.statusCode >= 300 && response.statusCode < 400) {
    url = new URL(String(response.headers.location), `http://x${url}`).pathname
    response = await control.inject(url)
  }
  t.equal(response.statusCode, 200)
  t.match(response.headers['content-type'], /^text\/html/)
  t.equal(response.headers['x-content-type-options'], 'nosniff')
  t.ok(response.headers['content-security-policy'])
  for (const path of [
    '/admin/v1/docs/',
    '/admin/v1/whoami',
    '/admin/v1/openapi.json',
    '/healthz',
    '/readyz',
    '/metrics',
    '/none',
  ])
    t.equal(
      (await control.inject(path)).headers['strict-transport-security'],
      undefined,
      `${path} is served without TLS`,
    )
  t.equal((await control.inject('/admin/v1/docs/../../metrics')).statusCode < 500, true)
})
