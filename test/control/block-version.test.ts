// Putting versions on the block list.
import t from 'tap'
import { blockVersion, type BlockOutcome } from '../../src/control/block-version.ts'
import type { Request } from '../../src/control/control.ts'
import { HOUR_MS, inHours, pinOf } from '../fixtures/channel-samples.ts'
import { blockedDocument, channelDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { BEFORE } from '../fixtures/rollout-samples.ts'

const KEY = `blocked-version/${BEFORE}`

function block(rig: CommandRig, more: Partial<Request> = {}, version = BEFORE): Promise<BlockOutcome> {
  return blockVersion(rig.control, rig.request(more), version, REAL)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [channelDocument('cloud')],
    run: ({ control }, request, dryRun) => blockVersion(control, request, BEFORE, { ...REAL, dryRun }),
    ...{ kind: 'version.block', done: 'blocked' },
  }),
)

t.test('the answer says where the version is served; no channel is moved', async (t) => {
  const rig = await started(t, { ...channelDocument('a'), ...channelDocument('b', { pin: pinOf('15.1.3') }) })
  const blocked = { version: BEFORE, reason: 'because', by: 'grace/token-9' }
  t.match(await block(rig), { outcome: 'blocked', blocked, revision: 1, servedBy: ['a'] })
  t.strictSame((await rig.entries())[0]?.subjects, [KEY])
})

t.test('the same reason changes nothing, another one does, and takes the place of what put it there', async (t) => {
  const rig = await started(t, blockedDocument(BEFORE, 'rolled back'))
  t.match(await block(rig, { reason: ' pulled ' }), { outcome: 'blocked', revision: 1 })
  t.equal(rig.commits.length, 0)
  t.match(await block(rig), { outcome: 'blocked', revision: 2, blocked: { reason: 'because' } })
  t.notHas((await rig.document(KEY))?.body, { because: 'rolled back' })
})

t.test('an entry at another revision is stale; one that cannot be read is written over', async (t) => {
  const rig = await started(t, { [KEY]: { version: 7 } })
  const conditions = { dryRun: false, expectedRevisions: [7] }
  t.match(await blockVersion(rig.control, rig.request(), BEFORE, conditions), { outcome: 'stale', current: null })
  t.match(await block(rig), { outcome: 'blocked', revision: 2 })
  t.match(await blockVersion(rig.control, rig.request(), BEFORE, conditions), {
    outcome: 'stale',
    current: { revision: 2 },
  })
})

t.test('it takes a version and a reason', async (t) => {
  const rig = await started(t)
  t.match(await block(rig, {}, 'stable'), { outcome: 'refused', field: 'version' })
  t.match(await block(rig, { reason: ' ' }), { outcome: 'refused', field: 'reason' })
  t.match(await block(rig, { reason: null }), { outcome: 'refused', field: 'reason' })
})

t.test('what time has ended is recorded first', async (t) => {
  const rig = await started(t, channelDocument('cloud', { pin: pinOf('15.1.3', { until: inHours(1) }) }))
  rig.clock.jump(2 * HOUR_MS)
  t.match(await block(rig), { servedBy: ['cloud'] })
  t.same(
    (await rig.entries()).map(({ kind }) => kind),
    ['channel.expire', 'version.block'],
  )
})
