// Failed and refused access is in the log and counted by its reason; a script that tries all day does not fill the log.
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { bearer, startAdmin } from '../../fixtures/admin-session.ts'
import { ADMIN_TOKEN } from '../../fixtures/planes.ts'

/** A log that keeps the lines of refused access. */
function traceLog() {
  const lines: unknown[] = []
  const write = (chunk: Buffer, _encoding: string, done: () => void): void => {
    const line: unknown = JSON.parse(chunk.toString())
    if (at(line, 'msg') === 'access refused') lines.push(line)
    done()
  }
  return { lines, controlLog: pino({ level: 'info' }, new Writable({ write })) }
}

t.test('each reason is logged at info and counted, with who it was and nothing of a secret or a path', async (t) => {
  const { lines, controlLog } = traceLog()
  const session = await startAdmin(t, { controlLog })
  await session.channel('secret/channel')
  const viewer = await session.token('viewer', ['mine/*'], null, 'vera')
  const old = await session.token('viewer', null, '2026-03-01T00:00:10Z', 'old')
  await session.planes.clock.advance(20_000)
  const get = (url: string, headers: Record<string, string> = {}) => session.inject({ url: `/admin/v1${url}`, headers })
  await get('/channels')
  await get('/channels', bearer('bw_aaaaaaaaaaaa_wrong'))
  await get('/channels', bearer(old))
  await get('/tokens', bearer(viewer))
  await get('/channels/secret%2Fchannel', bearer(viewer))
  await get('/channels', bearer(viewer))
  t.match(lines, [
    { level: 30, reason: 'missing_token', address: '127.0.0.1', method: 'GET', route: '/admin/v1/channels' },
    { reason: 'unknown_token', tokenId: 'aaaaaaaaaaaa' },
    { reason: 'expired_token' },
    { reason: 'insufficient_role', actor: /^vera\// },
    { reason: 'out_of_scope', actor: /^vera\//, route: '/admin/v1/channels/:name' },
  ])
  t.equal(lines.length, 5, 'what is allowed leaves no line')
  const text = JSON.stringify(lines)
  for (const secret of [ADMIN_TOKEN, viewer, old, viewer.slice(16), '_wrong', 'secret/channel', 'secret%2Fchannel'])
    t.notOk(text.includes(secret))
  const metrics = String((await session.inject({ url: '/metrics' })).body)
  for (const reason of ['missing_token', 'unknown_token', 'expired_token', 'insufficient_role', 'out_of_scope'])
    t.match(metrics, new RegExp(`^bellwether_access_refused_total\\{reason="${reason}"\\} 1$`, 'm'))
})

t.test('one caller has five lines a minute, all sixty; the next line says how many were left out', async (t) => {
  const { lines, controlLog } = traceLog()
  const session = await startAdmin(t, { controlLog })
  const vera = await session.token('viewer', null, null, 'vera')
  const refused = async (token: string, times: number): Promise<void> => {
    for (let time = 0; time < times; time += 1)
      await session.inject({ url: '/admin/v1/tokens', headers: bearer(token) })
  }
  await refused(vera, 8)
  t.equal(lines.length, 5)
  await refused(await session.token('viewer', null, null, 'otto'), 1)
  t.match(lines[5], { actor: /^otto\//, suppressed: 3 })
  for (let n = 0; n < 70; n += 1) await refused(await session.token('viewer', null, null, `p${n}`), 1)
  t.equal(lines.length, 60)
  await session.planes.clock.advance(60_000)
  await refused(vera, 1)
  t.match(lines[60], { actor: /^vera\//, suppressed: 16 })
  const metrics = String((await session.inject({ url: '/metrics' })).body)
  t.match(metrics, /^bellwether_access_refused_total\{reason="insufficient_role"\} 80$/m)
})

t.test('signatures that are wrong, and too many tries, are reasons of their own', async (t) => {
  const { lines, controlLog } = traceLog()
  const github = { secret: 'a-webhook-secret-of-some-length', verifiedLabel: 'cloud/verified', repositories: null }
  const session = await startAdmin(t, { controlLog, github })
  const headers = { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }
  await session.inject({ url: '/admin/v1/webhooks/github', method: 'POST', headers, payload: {} })
  for (let time = 0; time < 21; time += 1) await session.inject({ url: '/admin/v1/whoami', headers: bearer('x') })
  t.match(lines[0], { reason: 'invalid_signature', route: '/admin/v1/webhooks/github' })
  t.match(lines.at(-1), { reason: 'rate_limited', suppressed: 15 })
})
