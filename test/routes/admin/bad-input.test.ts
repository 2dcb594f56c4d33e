// Bad input of every kind: a problem document that names field and fix, and nothing changed.
import { request } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { at, isObject } from '../../fixtures/admin-json.ts'
import { adminRoutes, prepareForRoutes, writeRoutes } from '../../fixtures/admin-routes.ts'
import { bearer, channelPath, startAdmin } from '../../fixtures/admin-session.ts'
import { listening } from '../../fixtures/admin-stream.ts'
import { checkProblem } from '../../fixtures/admin-contract.ts'

const CLOUD = channelPath('stable/cloud')
const JSON_TYPE = { 'content-type': 'application/json' }
const reason = 'because'

t.test('what is not JSON is invalid_json, and what is not UTF-8 invalid_utf8, on every write', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  const before = await session.digest()
  const notJson = ['{', '{"reason":"x"', 'reason=x', "{'reason':'x'}", '{"a":1,}', 'NaN', '{"reason":"a\nb"}', '\0']
  const forbidden = ['{"__proto__":{"force":true}}', '{"constructor":{"prototype":{"x":1}}}', '{"\\u005f_proto__":1}']
  for (const { method, path, id: operation } of writeRoutes) {
    for (const body of [...notJson, ...forbidden]) {
      const reply = await session.call(method, path.replace('{id}', id), body, { headers: JSON_TYPE })
      t.equal(reply.status, 400, `${operation} ${JSON.stringify(body)}`)
      t.equal(at(reply.body, 'code'), 'invalid_json')
    }
    for (const bytes of [[0xff], [0x7b, 0xc3, 0x28, 0x7d], [0xed, 0xa0, 0x80], [0x7b, 0x22, 0xf8, 0x22, 0x7d]]) {
      const reply = await session.inject({
        method,
        url: `/admin/v1${path.replace('{id}', id)}`,
        headers: { ...bearer(), ...JSON_TYPE },
        payload: Buffer.from(bytes),
      })
      t.equal(reply.status, 400)
      t.equal(at(reply.body, 'code'), 'invalid_utf8')
    }
  }
  t.equal(await session.digest(), before)
  t.notOk('force' in {}, 'no prototype was polluted')
})

t.test('a body that is no object is refused as a whole, on every write', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  const before = await session.digest()
  for (const { method, path, body: good, id: operation, bodyless: takesNone = false } of writeRoutes) {
    const bodies = ['[]', '[{"reason":"x"}]', '"x"', '5', 'true', '1e999', ...(takesNone ? [] : ['null', '', ' null '])]
    for (const body of bodies) {
      const reply = await session.call(method, path.replace('{id}', id), body, { headers: JSON_TYPE })
      t.equal(reply.status, 400, `${operation} ${JSON.stringify(body)}`)
      t.match(at(reply.body, 'detail'), /JSON object/, `${operation} ${JSON.stringify(body)}`)
    }
    if (good === undefined || takesNone) continue
    const none = await session.call(method, path.replace('{id}', id))
    t.equal(none.status, 400, `${operation} without a body`)
    t.match(at(none.body, 'detail'), /JSON object/)
  }
  t.equal(await session.digest(), before)
})

t.test('a body of another type is unsupported_media_type', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  const before = await session.digest()
  for (const { method, path, id: operation } of writeRoutes) {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/json',
      'x',
      '',
    ]) {
      const reply = await session.call(method, path.replace('{id}', id), '{"reason":"x"}', {
        headers: { 'content-type': type },
      })
      t.equal(reply.status, 415, `${operation} ${type}`)
      t.equal(at(reply.body, 'code'), 'unsupported_media_type')
      t.match(at(reply.body, 'detail'), /application\/json/, 'it says what to send')
    }
  }
  t.equal(await session.digest(), before)
  const charset = { headers: { 'content-type': 'Application/JSON; charset=utf-8' } }
  t.equal((await session.call('PATCH', CLOUD, '{"description":"ä"}', charset)).status, 200)
  t.equal(at(await session.done('GET', CLOUD), 'description'), 'ä')
})

t.test('a body over 64 KB is body_too_large, whether its length is told or not', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const body = (bytes: number) => `{"description":"x"${' '.repeat(bytes - 19)}}`
  t.equal((await session.call('PATCH', CLOUD, body(65_536), { headers: JSON_TYPE })).status, 200)
  const reply = await session.call('PATCH', CLOUD, body(65_537), { headers: JSON_TYPE })
  t.equal(reply.status, 413)
  t.equal(at(reply.body, 'code'), 'body_too_large')
  t.match(at(reply.body, 'detail'), /65,?536|64 KB/, 'it says how large a body may be')
  const chunked = await session.inject({
    method: 'PATCH',
    url: `/admin/v1${CLOUD}`,
    headers: { ...bearer(), ...JSON_TYPE },
    payload: Readable.from([body(40_000), ' '.repeat(40_000)]),
  })
  t.equal(chunked.status, 413)
  t.equal((await session.journal()).length, 2)
})

t.test('wrong types are invalid_request with their field: nothing in a body is coerced', async (t) => {
  const session = await startAdmin(t)
  await prepareForRoutes(session)
  const before = await session.digest()
  for (const [method, path, body, field] of [
    ['PUT', `${CLOUD}/version`, { version: 15 }, 'version'],
    ['PUT', `${CLOUD}/version`, { version: true }, 'version'],
    ['PUT', `${CLOUD}/version`, { version: ['15.1.5'] }, 'version'],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5', critical: 'true' }, 'critical'],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5', critical: 1 }, 'critical'],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5', critical: null }, 'critical'],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5', force: 'yes' }, 'force'],
    ['PUT', `${CLOUD}/version`, { version: '15.1.5', reason: 5 }, 'reason'],
    ['PUT', `${CLOUD}/version`, {}, 'version'],
    ['PUT', `${CLOUD}/version`, { version: '1'.repeat(300) }, 'version'],
    ['PUT', `${CLOUD}/pin`, { version: null, reason }, 'version'],
    ['PUT', `${CLOUD}/pin`, { version: '15.1.5', reason, until: 1 }, 'until'],
    ['PUT', `${CLOUD}/critical`, { reason }, 'critical'],
    ['PUT', `${CLOUD}/critical`, { critical: 'no', reason }, 'critical'],
    ['POST', `${CLOUD}/rollback`, { to: 1.5, reason }, 'to'],
    ['POST', `${CLOUD}/rollback`, { to: 0, reason }, 'to'],
    ['POST', `${CLOUD}/rollback`, { to: true, reason }, 'to'],
    ['POST', `${CLOUD}/rollback`, { to: null, reason }, 'to'],
    ['POST', `${CLOUD}/rollback`, { to: '15', reason }, 'to'],
    ['PATCH', CLOUD, { description: null }, 'description'],
    ['PATCH', CLOUD, { description: 'x'.repeat(1_001) }, 'description'],
    ['PATCH', CLOUD, { source: null }, 'source'],
    ['PATCH', CLOUD, { source: {} }, 'source/kind'],
    ['PATCH', CLOUD, { source: { kind: 'follow', url: 'https://x' } }, 'source/kind'],
    ['PATCH', CLOUD, { source: { kind: 'forward', url: 'https://x' } }, 'source/url'],
    ['PATCH', CLOUD, { source: { kind: 'static', version: 1 } }, 'source/version'],
    ['PATCH', CLOUD, { floor: 15 }, 'floor'],
    ['POST', '/channels', { name: 7 }, 'name'],
    ['POST', '/channels', { name: null }, 'name'],
    ['POST', '/channels', { name: ['a'] }, 'name'],
    ['POST', '/channels', { name: { toString: 'a' } }, 'name'],
    ['POST', '/channels', {}, 'name'],
    ['PUT', '/blocked-versions/1.0.0', { reason: ['x'] }, 'reason'],
    ['POST', '/tokens', { name: 1, role: 'viewer' }, 'name'],
    ['POST', '/tokens', { name: 'a' }, 'role'],
  ] as const) {
    const reply = await session.call(method, path, body)
    t.equal(reply.status, 400, `${path} ${JSON.stringify(body).slice(0, 60)}`)
    t.equal(at(reply.body, 'code'), 'invalid_request')
    const errors = at(reply.body, 'errors')
    const fields = Array.isArray(errors) ? errors.map((error: unknown) => at(error, 'field')) : []
    t.ok(fields.includes(field), `${JSON.stringify(body).slice(0, 60)} names ${field}: ${JSON.stringify(errors)}`)
    t.ok(Array.isArray(errors) && errors.every((error: unknown) => String(at(error, 'message')).length > 3))
  }
  t.equal(await session.digest(), before)
})

t.test('unknown fields are refused by their name, at every level and on every write', async (t) => {
  const session = await startAdmin(t)
  const id = await prepareForRoutes(session)
  const before = await session.digest()
  for (const { method, path, body, id: operation } of writeRoutes) {
    const strange = { ...body, reasons: 'x', hasOwnProperty: 1, constructor: 2 }
    const reply = await session.call(method, path.replace('{id}', id), strange)
    t.equal(reply.status, 400, operation)
    const text = JSON.stringify(at(reply.body, 'errors'))
    for (const name of ['reasons', 'hasOwnProperty', 'constructor']) t.match(text, `"${name}"`, operation)
  }
  for (const [path, body] of [
    ['/channels', { name: 'a', source: { kind: 'static', version: '1.0.0', url: 'x' } }],
    [CLOUD, { source: { kind: 'static', criticall: true } }],
  ] as const) {
    const reply = await session.call(path === CLOUD ? 'PATCH' : 'POST', path, body)
    t.equal(reply.status, 400)
    t.match(at(reply.body, 'errors', 0, 'field'), /^source\//)
  }
  t.equal(await session.digest(), before)
})

t.test('a field that is refused is named once, and a body full of mistakes is answered in brief', async (t) => {
  const session = await startAdmin(t)
  const body = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`x${index}`, index]))
  const reply = await session.call('POST', '/channels', body)
  t.equal(reply.status, 400)
  const errors = at(reply.body, 'errors')
  t.ok(Array.isArray(errors) && errors.length <= 20)
  t.ok(JSON.stringify(reply.body).length < 8_000)
  const long = await session.call('POST', '/channels', { name: 'a', ['y'.repeat(60_000)]: 1 })
  t.equal(long.status, 400)
  t.ok(JSON.stringify(long.body).length < 4_000, 'nor does one long name make a long answer')
})

t.test('deep nesting, NUL, lone surrogates and huge numbers are refused or kept, never a fault', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const deep = `{"description":${'['.repeat(30_000)}${']'.repeat(30_000)}}`
  const deepSource = `{"source":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`
  for (const body of [deep, deepSource, '{"floor":1e308}', '{"description":1e999}', '{"floor":-0}'])
    t.equal((await session.call('PATCH', CLOUD, body, { headers: JSON_TYPE })).status, 400, body.slice(0, 30))
  const huge = await session.call('POST', `${CLOUD}/rollback`, `{"to":1e300,"reason":"x"}`, { headers: JSON_TYPE })
  t.equal(huge.status, 409)
  for (const text of ['\u{1f600}', '\n\t', '\u00a0\u00ad\ufeff', '\u{e0001}']) {
    const description = `x${text}y`
    t.equal(at(await session.done('PATCH', CLOUD, { description, reason: description }), 'description'), description)
    t.equal(at(await session.done('GET', CLOUD), 'description'), description)
    t.equal((await session.lastEntry()).reason, description)
    for (const version of [text, `15.1.5${text}`])
      t.match((await session.call('PUT', `${CLOUD}/version`, { version })).status, text === '\n\t' ? 400 : 422)
  }
})

t.test('paths that cannot be decoded, are too long, or are nowhere get a problem too', async (t) => {
  const session = await startAdmin(t)
  for (const [path, status] of [
    ['/channels/%zz', 400],
    ['/channels/%', 400],
    ['/channels/%c3%28', 400],
    ['/channels/%ed%a0%80', 400],
    [`/channels/${'a'.repeat(5_000)}`, 400],
    [`/channels/${'%C3%A4'.repeat(120)}/history`, 404],
    ['/channels/a/b', 404],
    ['/channels/', 404],
    ['//channels', 404],
    ['/channels/..%2f..%2fetc', 404],
    ['/CHANNELS', 404],
  ] as const) {
    const reply = await session.inject({ url: `/admin/v1${path}`, headers: bearer() })
    t.equal(reply.status, status, path.slice(0, 40))
    t.ok(isObject(reply.body))
  }
  for (const { path } of adminRoutes) {
    const url = `/admin/v1${path.split('?', 1)[0] ?? ''}`
    const reply = await session.planes.control.inject({ method: 'OPTIONS', url, headers: bearer() })
    t.equal(reply.statusCode, 404)
    checkProblem(reply)
  }
})

t.test('over a real socket: what is no HTTP is answered with a problem, and other methods are not found', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  const raw = (text: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(text))
      socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk))
      socket.on('close', () => resolve(answer)).on('error', reject)
    })
  const head = `Host: x\r\nConnection: close\r\nAuthorization: ${bearer().authorization}\r\n`
  for (const [sent, status] of [
    ['nonsense\r\n\r\n', 400],
    [`GET /admin/v1/channels HTTP/1.1\r\n${head}Bad Header\r\n\r\n`, 400],
    [`GET /admin/v1/channels HTTP/1.1\r\n${head}X: ${'x'.repeat(20_000)}\r\n\r\n`, 400],
    [`POST /admin/v1/channels HTTP/1.1\r\n${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`, 400],
  ] as const) {
    const answer = await raw(sent)
    t.match(answer.slice(0, 12), new RegExp(`HTTP/1.1 ${status}`), sent.slice(0, 30))
    const [, body = ''] = answer.split('\r\n\r\n')
    t.match(answer, /content-type: application\/problem\+json/i)
    const problem: unknown = JSON.parse(body)
    t.equal(at(problem, 'status'), status)
    t.ok(at(problem, 'code'))
    t.ok(at(problem, 'detail'))
  }
  t.match(await raw(`PROPFIND /admin/v1/channels HTTP/1.1\r\n${head}\r\n`), /^HTTP\/1\.1 404/)
  t.match(await raw(`GET http://elsewhere/admin/v1/whoami HTTP/1.1\r\n${head}\r\n`), /^HTTP\/1\.1 (?:200|404)/)
  const cut = request({
    port,
    host: '127.0.0.1',
    method: 'PUT',
    path: `/admin/v1${CLOUD}/version`,
    headers: { ...bearer(), ...JSON_TYPE, 'content-length': '100' },
  })
  cut.on('error', () => {})
  cut.write('{"version":')
  cut.destroy()
  t.equal((await session.call('GET', '/whoami')).status, 200)
})
