// Control characters, marks of the direction of writing and halves of characters: refused in what people write, with their position;
// escaped in what other servers say; left as they are in what is stored.
import { createHmac } from 'node:crypto'
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'
import { commitOf, cloud, startRollouts } from '../../fixtures/rollout-session.ts'

const CLOUD = channelPath('stable/cloud')

t.test('each text of a change is refused with its field and the place of the character: invalid_request', async (t) => {
  const session = await startRollouts(t)
  await session.channel('stable/cloud')
  const register = { version: cloud(1), commit: commitOf(1), kind: 'full' }
  const change = { id: '1', title: 'A title', author: 'ada' }
  const stage = { name: 'all', channels: ['stable/cloud'] }
  const gate = { name: 'errors', url: 'https://prometheus.example', op: '<', threshold: 1 }
  const before = await session.digest()
  for (const [method, path, body, field, place] of [
    ['PATCH', CLOUD, { description: 'a\u0007b' }, 'description', 'control character U+0007 at character 2'],
    ['PUT', `${CLOUD}/halt`, { reason: '😀\u202egpj' }, 'reason', 'direction of writing U+202E at character 2'],
    ['PUT', `${CLOUD}/pin`, { version: '15.1.3', reason: '\ud800' }, 'reason', 'surrogate pair U+D800 at character 1'],
    ['DELETE', `${CLOUD}/pin`, { reason: 'a\u2028' }, 'reason', 'separator U+2028 at character 2'],
    ['POST', '/releases', { ...register, cutBy: 'eve\t' }, 'cutBy', 'U+0009 at character 4'],
    ['POST', '/releases', { ...register, changes: [{ ...change, title: 'a\nb' }] }, 'changes/0/title', 'U+000A at'],
    [
      'POST',
      '/releases',
      { ...register, changes: [change, { ...change, id: '2', author: 'a\u200f' }] },
      'changes/1/author',
      'U+200F',
    ],
    ['POST', '/releases', { ...register, security: { fixes: ['CVE-2026-0001\u0000'] } }, 'security/fixes/0', 'U+0000'],
    ['PUT', '/pipelines/p', { description: '\u009b', stages: [stage] }, 'description', 'U+009B at character 1'],
    [
      'PUT',
      '/pipelines/p',
      { stages: [{ ...stage, gates: [{ ...gate, query: 'a\rb' }] }] },
      'stages/0/gates/0/query',
      'U+000D',
    ],
    ['PUT', '/blocked-versions/1.0.0', { reason: '\u2066' }, 'reason', 'U+2066 at character 1'],
  ] as const) {
    const reply = await session.call(method, path, body)
    t.equal(reply.status, 400, field)
    t.equal(at(reply.body, 'code'), 'invalid_request')
    t.equal(at(reply.body, 'errors', 0, 'field'), field)
    t.match(at(reply.body, 'errors', 0, 'message'), place)
    t.match(at(reply.body, 'detail'), place)
    t.equal((await session.call(method, `${path}?dryRun=true`, body)).status, 400, 'nor is it tried')
  }
  t.equal(await session.digest(), before)
  const multiline = 'first\n\tsecond, \u05e9\u05dc\u05d5\u05dd'
  t.equal(
    at(await session.done('PATCH', CLOUD, { description: multiline, reason: multiline }), 'description'),
    multiline,
  )
})

t.test('a text that was stored before is shown as it is, and goes on with what is changed beside it', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const { store, replica } = session.planes.deps
  const stored = replica.state?.document('channel/stable/cloud')
  if (stored === undefined || replica.state === null) throw new Error('there is no channel')
  const description = 'old \u0007\u202e\ud800'
  const writes = [{ key: stored.key, expected: stored.revision, body: { ...stored.body, description } }]
  const { position } = replica.state
  const change = {
    at: '2026-03-01T00:00:00.000Z',
    actor: 'old\u202e',
    kind: 'channel.edit',
    reason: description,
    requestId: null,
  }
  await store.commit({ ...change, decidedOn: position, writes, reads: [] })
  await replica.until((state) => state.seq > position.seq)
  t.equal(at(await session.done('GET', CLOUD), 'description'), description)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  t.equal(at(await session.done('GET', CLOUD), 'description'), description)
  const found = await session.done('GET', `/journal?actor=${encodeURIComponent('old\u202e')}`)
  t.equal(at(found, 'items', 0, 'reason'), description)
})

t.test('what GitHub delivers is escaped and answered, not refused', async (t) => {
  const secret = 'a-webhook-secret-of-some-length'
  const session = await startAdmin(t, { github: { secret, verifiedLabel: 'cloud/verified', repositories: null } })
  const payload = JSON.stringify({ action: 'labeled', label: { name: 'evil\u202e\u0007\ud800' } })
  const signature = `sha256=${createHmac('sha256', secret).update(payload).digest('hex')}`
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'pull_request',
    'x-hub-signature-256': signature,
  }
  const reply = await session.inject({ url: '/admin/v1/webhooks/github', method: 'POST', headers, payload })
  t.equal(reply.status, 202)
  t.match(at(reply.body, 'why'), String.raw`"evil\u202e\u0007\ud800"`)
})
