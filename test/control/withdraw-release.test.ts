// Withdrawing releases: blocked, and their rollouts ended, in one commit.
import t from 'tap'
import { withdrawRelease } from '../../src/control/withdraw-release.ts'
import { sourceOf } from '../fixtures/channel-samples.ts'
import { channelDocument, releaseDocument, rolloutDocument, waiting } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL } from '../fixtures/command-rig.ts'
import { RELEASE, someStage } from '../fixtures/rollout-samples.ts'

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [waiting()],
    run: ({ control }, request, dryRun) => withdrawRelease(control, request, RELEASE, { ...REAL, dryRun }),
    ...{ kind: 'release.withdraw', done: 'done' },
  }),
)

t.test('every rollout of it that is under way ends, others stay, and the answer says where it is served', async (t) => {
  const rules = someStage('elsewhere')
  const rig = await started(t, {
    ...waiting(),
    ...rolloutDocument([{ rules }], { pipeline: 'other' }),
    ...rolloutDocument([{ rules }], { pipeline: 'third', state: 'done' }),
    ...rolloutDocument([{ rules }], { release: '15.3.0' }),
    ...channelDocument('a', { source: sourceOf(RELEASE) }),
  })
  const done = await withdrawRelease(rig.control, rig.request(), RELEASE, REAL)
  t.match(done, { outcome: 'done', servedBy: ['a'], record: { release: { withdrawn: { reason: 'because' } } } })
  t.same(done.outcome === 'done' && done.rollouts.map(({ pipeline, state }) => `${pipeline} ${state}`).toSorted(), [
    'cloud withdrawn',
    'other withdrawn',
  ])
  t.match((await rig.document(`blocked-version/${RELEASE}`))?.body, { reason: 'because', by: 'grace/token-9' })
  t.match((await rig.document('rollout/third/15.2.0'))?.body, { state: 'done' })
})

t.test('an entry of the block list that cannot be read is no hindrance', async (t) => {
  const key = `blocked-version/${RELEASE}`
  const rig = await started(t, { ...releaseDocument(), [key]: { version: 7 } })
  t.match(await withdrawRelease(rig.control, rig.request(), RELEASE, REAL), { outcome: 'done' })
  t.match(await rig.document(key), { revision: 2, body: { version: RELEASE } })
})

t.test('it takes a reason, a release that is there, and its revision where one is expected', async (t) => {
  const rig = await started(t, releaseDocument())
  const { control } = rig
  t.match(await withdrawRelease(control, rig.request({ reason: null }), RELEASE, REAL), {
    outcome: 'refused',
    field: 'reason',
  })
  t.match(await withdrawRelease(control, rig.request(), '15.9.9', REAL), { problem: 'unknown_release' })
  const conditions = { dryRun: false, expectedRevisions: [7] }
  t.match(await withdrawRelease(control, rig.request(), RELEASE, conditions), { outcome: 'stale' })
  t.equal(rig.commits.length, 0)
})
