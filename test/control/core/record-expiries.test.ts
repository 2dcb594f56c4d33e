// What time has changed, committed: in batches, by whom, and when not.
import t from 'tap'
import { recordExpiries } from '../../../src/control/core/record-expiries.ts'
import { HOUR_MS, inHours, pinOf, sourceOf } from '../../fixtures/channel-samples.ts'
import { blockedDocument, channelDocument, someBody } from '../../fixtures/command-documents.ts'
import { CommandRig, type Documents } from '../../fixtures/command-rig.ts'
import { BEFORE } from '../../fixtures/rollout-samples.ts'

const pin = pinOf('15.1.3', { until: inHours(1) })

function urgent(count: number): Documents {
  const source = sourceOf(BEFORE, { critical: true, criticalUntil: inHours(1) })
  return Object.assign({}, ...Array.from({ length: count }, (_, index) => channelDocument(`c${index}`, { source })))
}

async function later(teardown: (close: () => Promise<void>) => void, documents: Documents): Promise<CommandRig> {
  const rig = await CommandRig.start(teardown, documents)
  rig.clock.jump(2 * HOUR_MS)
  return rig
}

t.test(
  'ended pins and critical flags are recorded by the server itself, at most 100 to a commit, and once',
  async (t) => {
    const rig = await later(t.teardown, { ...urgent(150), ...channelDocument('pinned', { pin }) })
    await recordExpiries(rig.control)
    t.strictSame(
      rig.commits.map(({ change }) => change.writes.length),
      [100, 51],
    )
    t.match((await rig.entries())[0], {
      kind: 'channel.expire',
      actor: 'bellwether',
      reason: 'its time was over',
      requestId: null,
    })
    t.match((await rig.document('channel/pinned'))?.body, { pin: null, updatedBy: 'bellwether', updatedAt: inHours(2) })
    await recordExpiries(rig.control)
    t.equal(rig.commits.length, 2)
  },
)

t.test('a pin that must not end is recorded as held, apart from those that have ended', async (t) => {
  const rig = await later(t.teardown, {
    ...channelDocument('held', { pin }),
    ...channelDocument('ended', { source: sourceOf('15.1.2'), pin }),
    ...blockedDocument(BEFORE),
  })
  await recordExpiries(rig.control)
  const [ended, held] = await rig.entries()
  t.match(ended, { kind: 'channel.expire', subjects: ['channel/ended'] })
  t.match(held, { kind: 'channel.hold', subjects: ['channel/held'], reason: /it stays: 15\.1\.4 is on the block list/ })
  t.match((await rig.document('channel/held'))?.body, { pin: { until: null, held: { guard: 'blocked-version' } } })
})

t.test('several held pins say each for itself why they stay', async (t) => {
  const rig = await later(t.teardown, {
    ...channelDocument('a', { pin }),
    ...channelDocument('b', { pin }),
    ...blockedDocument(BEFORE),
  })
  await recordExpiries(rig.control)
  t.match(await rig.entries(), [{ kind: 'channel.hold', reason: /each pin says why/ }])
})

t.test('it expects the channel and the block list as it has judged them, and tries once', async (t) => {
  const key = `blocked-version/${BEFORE}`
  const rig = await later(t.teardown, channelDocument('cloud', { pin }))
  rig.between = () => rig.writeBehind(blockedDocument(BEFORE))
  await recordExpiries(rig.control)
  t.match(rig.commits, [
    { outcome: 'conflict', change: { reads: [{ key, expected: 0 }], writes: [{ key: 'channel/cloud' }] } },
  ])
  t.match((await rig.document('channel/cloud'))?.body, { pin: { version: '15.1.3' } })
  await recordExpiries(rig.control)
  t.match(await rig.entries(), [{ kind: 'channel.hold' }], 'the next look sees what has changed')
})

t.test('what has expired is judged again where a batch before it took time', async (t) => {
  const documents = urgent(101)
  const rig = await later(t.teardown, documents)
  rig.between = ({ writes }) => {
    const last = Object.keys(documents).find((key) => !writes.some((write) => write.key === key)) ?? ''
    return rig.write({ [last]: someBody(last) })
  }
  await recordExpiries(rig.control)
  t.strictSame(
    rig.commits.map(({ change }) => change.writes.length),
    [100],
    'nothing is left to record of the last channel',
  )
})

t.test('nothing is recorded by a clock that is in doubt, nor of what has ended only by such a clock', async (t) => {
  const rig = await later(t.teardown, channelDocument('cloud', { pin }))
  rig.clock.doubt = { code: 'clock_unconfirmed', message: 'by a test' }
  await recordExpiries(rig.control)
  rig.clock.doubt = null
  rig.clock.expiryTime = () => Date.parse(inHours(0))
  await recordExpiries(rig.control)
  t.equal(rig.commits.length, 0)
})

t.test('nothing is recorded while the store is not followed', async (t) => {
  const rig = await later(t.teardown, channelDocument('cloud', { pin }))
  const control = { ...rig.control, replica: { state: rig.state, fault: new Error('away') } }
  // Nothing else of the replica is used.
  await recordExpiries(control as unknown as typeof rig.control)
  await recordExpiries({ ...control, replica: { state: null, fault: null } } as unknown as typeof rig.control)
  t.equal(rig.commits.length, 0)
})
