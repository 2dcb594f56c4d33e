// The size of one step: what is within the limits of documents is never too large for one commit, and what is, is said clearly.
import t from 'tap'
import { channelKey } from '../../../src/channels/channel.ts'
import { PIPELINE_CHANNELS_MAX } from '../../../src/rollouts/pipeline-draft.ts'
import { GATES_MAX, STAGES_MAX } from '../../../src/rollouts/pipeline-draft.ts'
import { STORED_SAMPLES_MAX } from '../../../src/rollouts/gate-standing.ts'
import { PIPELINE_BODY_BYTES_MAX } from '../../../src/routes/admin/rollout-requests.ts'
import { TEXT_BYTES_MAX } from '../../../src/routes/admin/json-body.ts'
import { CommitTooLarge } from '../../../src/store/port.ts'
import { COMMIT_BYTES_MAX } from '../../../src/store/sizes.ts'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin } from '../../fixtures/admin-session.ts'
import { startRollouts } from '../../fixtures/rollout-session.ts'

/** A version of 256 characters, as long as one can be. */
function longVersion(minor: number): string {
  return `15.${minor}.0-${'a'.repeat(256 - `15.${minor}.0-`.length)}`
}

/** As many bytes as a text may have, in a script that takes three for each character. */
const LONG_TEXT = '版'.repeat(TEXT_BYTES_MAX / 3)
const LONG_NAME = `${'n'.repeat(63)}/${'n'.repeat(63)}`

t.test('a stage of as many of the largest channels as a pipeline takes fits into one commit', async (t) => {
  const session = await startRollouts(t)
  const path = channelPath(LONG_NAME)
  const [v1, v2, v3] = [longVersion(1), longVersion(2), longVersion(3)]
  const source = { kind: 'static', version: v1, critical: true, criticalUntil: '2030-01-01T00:00:00Z' }
  await session.done('POST', '/channels', { name: LONG_NAME, description: LONG_TEXT, source })
  await session.done('PATCH', path, { floor: v1, ceiling: v3 })
  const stages = [{ name: 'all', channels: [LONG_NAME], rampPercent: [1] }]
  await session.done('PUT', `/pipelines/${'p'.repeat(63)}`, { requirePackages: false, stages })
  await session.done('POST', '/releases', { version: v2, commit: 'abcdef0', kind: 'full', changes: [] })
  await session.done('POST', `/rollouts/${'p'.repeat(63)}/promote`, { stage: 'all' })
  await session.done('PUT', `${path}/pin`, { version: v3, until: '2030-01-01T00:00:00Z', reason: LONG_TEXT })
  await session.done('PUT', `${path}/halt`, { reason: LONG_TEXT })
  const document = session.planes.deps.replica.state?.document(channelKey(LONG_NAME))
  t.match(document?.body, { ramp: { percent: 1 }, pin: { version: v3 }, halt: {}, floor: v1, ceiling: v3 })
  const channel = Buffer.byteLength(JSON.stringify(document))
  t.ok(channel > 3 * TEXT_BYTES_MAX, `${channel} bytes of a channel`)
  // A pin that is held, and the trouble of an upstream, add words of this server's own; a forward source has no version to speak of.
  const ownWords = 1_000
  const moved = PIPELINE_CHANNELS_MAX * JSON.stringify({ channel: LONG_NAME, before: v1 }).length
  const taken = PIPELINE_CHANNELS_MAX * JSON.stringify({ channel: LONG_NAME, from: v1, to: v2 }).length
  const samples = STAGES_MAX * GATES_MAX * STORED_SAMPLES_MAX * 1_000
  const rollout = PIPELINE_BODY_BYTES_MAX + moved + taken + samples
  // Those that are overtaken have 1 MB, before and after.
  const step = 2 * (PIPELINE_CHANNELS_MAX * (channel + ownWords + LONG_NAME.length) + rollout + 1024 * 1024)
  t.ok(step < COMMIT_BYTES_MAX, `${step} bytes of ${COMMIT_BYTES_MAX}`)
})

t.test('a text above its bytes is refused, whatever its characters: 400, and nothing is written', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a')
  const before = await session.digest()
  for (const text of [LONG_TEXT, 'x'.repeat(1_000), '"'.repeat(1_000)]) {
    t.equal((await session.call('PATCH', `${channelPath('a')}?dryRun=true`, { description: text })).status, 200)
  }
  for (const text of ['\u0001'.repeat(1_000), '😀'.repeat(1_000)]) {
    const { status, body } = await session.call('PATCH', channelPath('a'), { description: text })
    t.equal(status, 400)
    t.hasStrict(at(body, 'errors', 0), { field: 'description', message: 'is above 3,000 bytes as JSON; shorten it' })
    t.equal((await session.call('PUT', channelPath('a', '/halt'), { reason: text })).status, 400)
  }
  t.equal(await session.digest(), before)
})

t.test('a change that is too large for one step is answered change_too_large, with what to do', async (t) => {
  const session = await startAdmin(t, {
    wrapStore: (store) => ({ ...store, commit: () => Promise.reject(new CommitTooLarge(COMMIT_BYTES_MAX + 1)) }),
  })
  const { status, body } = await session.call('POST', '/channels', { name: 'a' })
  t.equal(status, 409)
  t.equal(at(body, 'code'), 'change_too_large')
  t.match(String(at(body, 'detail')), /Nothing was changed. Do it in several steps, or shorten/)
})
