// Changes of a channel: what each comes to, and what is judged where the channel cannot be read. The guards themselves are in
// test/channels/.
import t from 'tap'
import { changeChannel, type ChannelOutcome, type ChannelRequest } from '../../src/control/change-channel.ts'
import { UnreadableDocument } from '../../src/control/core/unreadable-document.ts'
import { pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import { blockedDocument, channelDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'

type Asked = ChannelRequest['change']

const NEXT: Asked = { kind: 'version', version: '15.1.5' }
const BROKEN = { 'channel/cloud': { name: 'cloud', source: 7 } }

function ask(rig: CommandRig, change: Asked, more: Partial<ChannelRequest> = {}): Promise<ChannelOutcome> {
  return changeChannel(rig.control, { ...rig.request(), ...REAL, name: 'cloud', change, force: false, ...more })
}

for (const change of [
  NEXT,
  { kind: 'pin', version: '15.1.3' },
  { kind: 'halt' },
  { kind: 'critical', critical: true },
] as const) {
  t.test(`${change.kind} is tried, made once, and answered again`, (t) =>
    proveCommand(t, {
      documents: [channelDocument('cloud')],
      run: (rig, request, dryRun) => ask(rig, change, { ...request, dryRun }),
      ...{ kind: `channel.${change.kind}`, done: 'changed' },
    }),
  )
}

t.test('so are the creation, the deletion and the rollback of a channel', async (t) => {
  const create: Asked = { kind: 'create', name: 'cloud', source: { kind: 'static', version: '15.1.5' } }
  const [old, now] = [channelDocument('cloud', { source: sourceOf('15.1.3') }), channelDocument('cloud')]
  const cases = [
    { change: create, documents: [], kind: 'channel.create', done: 'changed' },
    { change: { kind: 'delete' }, documents: [now], kind: 'channel.delete', done: 'deleted' },
    { change: { kind: 'rollback-to' }, documents: [old, now], kind: 'channel.rollback', done: 'changed' },
  ] as const
  for (const { change, ...more } of cases) {
    await proveCommand(t, { ...more, run: (rig, request, dryRun) => ask(rig, change, { ...request, dryRun }) })
  }
})

t.test('it writes the channel alone, and shows it with the verdicts of the guards', async (t) => {
  const rig = await started(t, channelDocument('cloud'))
  const outcome = await ask(rig, NEXT)
  t.match(outcome, { outcome: 'changed', record: { revision: 2, effective: { version: '15.1.5' }, upstream: null } })
  t.ok(outcome.outcome === 'changed' && outcome.verdicts.length > 0)
  t.strictSame((await rig.entries())[0]?.subjects, ['channel/cloud'])
})

t.test('a channel that is not there is unknown, or, where it was expected, stale', async (t) => {
  const rig = await started(t)
  t.strictSame(await ask(rig, NEXT), { outcome: 'unknown-channel' })
  t.strictSame(await ask(rig, NEXT, { expectedRevisions: [1] }), { outcome: 'stale', current: null })
  t.strictSame(await ask(rig, NEXT, { expectedRevisions: 'any' }), { outcome: 'unknown-channel' })
})

t.test('a channel at another revision is stale, and shown as it is', async (t) => {
  const rig = await started(t, channelDocument('cloud'))
  t.match(await ask(rig, NEXT, { expectedRevisions: [7] }), { outcome: 'stale', current: { revision: 1 } })
  t.match(await ask(rig, NEXT, { expectedRevisions: 'none' }), { outcome: 'stale', current: { revision: 1 } })
  t.match(await ask(rig, NEXT, { expectedRevisions: [7, 1] }), { outcome: 'changed' })
})

t.test('a refusal of a guard is counted once, however often it was decided', async (t) => {
  const rig = await started(t, channelDocument('cloud'))
  rig.between = () => rig.writeBehind(blockedDocument('15.1.5'))
  t.match(await ask(rig, NEXT), { outcome: 'refused', why: 'guard', guard: 'blocked-version' })
  t.same(rig.counted, ['conflict channel.version', 'refusal blocked-version'])
  t.match(await ask(rig, { kind: 'halt' }, { reason: null }), { outcome: 'refused', why: 'malformed' })
  const again: Asked = { kind: 'create', name: 'cloud' }
  t.match(await ask(rig, again), { outcome: 'refused', why: 'state', problem: 'channel_exists' })
  t.equal(rig.counted.length, 2)
})

t.test('what the channel is already changes nothing', async (t) => {
  const rig = await started(t, channelDocument('cloud'))
  t.match(await ask(rig, { kind: 'version', version: '15.1.4' }), { outcome: 'changed', record: { revision: 1 } })
  t.equal(rig.commits.length, 0)
  t.same(rig.counted, ['unchanged channel.version'])
})

t.test('a rollback goes to what was served before, and to nothing that is blocked', async (t) => {
  const versions = ['15.1.2', '15.1.3', '15.1.4'].map((version) =>
    channelDocument('cloud', { source: sourceOf(version) }),
  )
  const rig = await started(t, ...versions, blockedDocument('15.1.3'))
  t.match(await ask(rig, { kind: 'rollback-to' }), {
    outcome: 'changed',
    record: { channel: { pin: { version: '15.1.2' } } },
  })
  const unserved: Asked = { kind: 'rollback-to', to: '15.0.0' }
  t.match(await ask(rig, unserved), { outcome: 'refused' })
})

t.test('a channel that cannot be read is judged by its last version that can be', async (t) => {
  const rig = await started(t, channelDocument('cloud', { ceiling: '15.1.9', pin: pinOf('15.1.3') }), BROKEN)
  t.match(await ask(rig, { kind: 'version', version: '15.2.0' }), { outcome: 'refused', guard: 'ceiling' })
  t.match(await ask(rig, NEXT), { outcome: 'changed', record: { revision: 3, channel: { ceiling: '15.1.9' } } })
})

t.test('without such a version it takes force, and begins anew; it is never created over', async (t) => {
  const rig = await started(t, BROKEN)
  await t.rejects(ask(rig, NEXT), UnreadableDocument)
  await t.rejects(ask(rig, { kind: 'create', name: 'cloud' }, { force: true }), UnreadableDocument)
  t.strictSame(await ask(rig, NEXT, { expectedRevisions: [7], force: true }), { outcome: 'stale', current: null })
  t.match(await ask(rig, NEXT, { force: true }), {
    outcome: 'changed',
    record: { revision: 2, channel: { ceiling: null } },
  })
})

t.test('a deletion is judged by every version that a ramp of default tells', async (t) => {
  const before = { version: '15.1.4', critical: false, criticalUntil: null }
  const ramp = { seed: 'cloud/15.1.5', percent: 10, plainPath: 'last' as const, before }
  const fallback = channelDocument('default', { source: sourceOf('15.1.5'), ramp })
  const pin = pinOf('15.1.4', { rolledBackFrom: ['15.1.5'] })
  const rig = await started(t, { ...channelDocument('cloud', { pin }), ...fallback })
  t.match(await ask(rig, { kind: 'delete' }), { outcome: 'refused', guard: 'rollback_end' })
  t.match(await ask(rig, { kind: 'delete' }, { force: true }), { outcome: 'deleted' })
})
