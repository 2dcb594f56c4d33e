// What a poll of an upstream leads to: an entry for every change, and none for a poll.
import t from 'tap'
import { journalUpstream } from '../../src/control/journal-upstream.ts'
import type { ForwardSource } from '../../src/channels/channel.ts'
import { blockedDocument, channelDocument } from '../fixtures/command-documents.ts'
import { started } from '../fixtures/command-proof.ts'
import type { CommandRig, Documents } from '../fixtures/command-rig.ts'
import { BEFORE, inMinutes } from '../fixtures/rollout-samples.ts'

const URL = 'https://up.example.com/v1/cloud'
const KEY = 'channel/cloud'

function forward(more: Partial<ForwardSource> = {}): Documents {
  const answered = { version: BEFORE, critical: false, criticalUntil: null, answeredAt: inMinutes(-9), problem: null }
  return channelDocument('cloud', { source: { kind: 'forward', url: URL, ...answered, ...more } })
}

function answers({ control }: CommandRig, version: string | null, critical = false, url = URL) {
  return journalUpstream(control, 'cloud', url, { outcome: 'answered', version, critical })
}

function fails({ control }: CommandRig, message: string, kind: 'unreachable' | 'invalid' = 'unreachable') {
  return journalUpstream(control, 'cloud', URL, { outcome: 'problem', kind, message })
}

t.test('another version, or another urgency, is a change by the server itself', async (t) => {
  const rig = await started(t, forward())
  t.equal(await answers(rig, '15.1.5'), 'changed')
  t.equal(await answers(rig, '15.1.5', true), 'changed')
  t.equal(await answers(rig, null), 'changed')
  const reasons = [
    'the upstream answers 15.1.5',
    'the upstream answers 15.1.5, critical',
    'the upstream answers no version',
  ]
  const entry = { kind: 'channel.upstream', actor: 'bellwether', requestId: null, subjects: [KEY] }
  t.match(
    await rig.entries(),
    reasons.map((reason) => ({ ...entry, reason })),
  )
})

t.test('the same answer is no change, unless there was trouble before', async (t) => {
  const rig = await started(t, forward())
  t.equal(await answers(rig, BEFORE), 'unchanged')
  t.equal(rig.commits.length, 0)
  await fails(rig, 'no answer')
  t.equal(await answers(rig, BEFORE), 'changed')
  t.match((await rig.entries())[1], { reason: `the upstream answers again: ${BEFORE}` })
})

t.test('trouble is an entry once for each kind, and the version stays', async (t) => {
  const rig = await started(t, forward())
  t.equal(await fails(rig, 'no answer at port 1'), 'problem')
  t.equal(await fails(rig, 'no answer at port 2'), 'problem')
  t.equal(await fails(rig, 'junk', 'invalid'), 'problem')
  const kind = 'channel.upstream-problem'
  t.match(await rig.entries(), [
    { kind, reason: 'no answer at port 1' },
    { kind, reason: 'junk' },
  ])
  t.match((await rig.document(KEY))?.body, { source: { version: BEFORE, problem: { kind: 'invalid' } } })
})

t.test('what the guards refuse is trouble, told again where the words change', async (t) => {
  const rig = await started(t, { ...forward(), ...blockedDocument('15.1.5'), ...blockedDocument('15.1.6') })
  for (const version of ['15.1.5', '15.1.5', '15.1.6']) t.equal(await answers(rig, version), 'problem')
  t.match(await rig.entries(), [
    { kind: 'channel.upstream-problem', reason: /answers 15\.1\.5: .*block list/ },
    { reason: /answers 15\.1\.6: / },
  ])
  t.match((await rig.document(KEY))?.body, { source: { version: BEFORE, problem: { kind: 'refused' } } })
})

t.test('an answer for what the channel does not follow any more is gone', async (t) => {
  const rig = await started(t, forward())
  t.equal(await answers(rig, '15.1.5', false, `${URL}2`), 'gone')
  await rig.write(channelDocument('cloud'))
  t.equal(await answers(rig, '15.1.5'), 'gone')
  await rig.write({ [KEY]: null })
  t.equal(await fails(rig, 'no answer'), 'gone')
  t.equal(rig.commits.length, 0)
})

t.test('what loses every race is left to the next poll', async (t) => {
  const rig = await started(t, forward())
  const lose = async (): Promise<void> => {
    await rig.writeBehind(forward())
    rig.between = lose
  }
  rig.between = lose
  t.equal(await answers(rig, '15.1.5'), 'unchanged')
  t.equal(rig.commits.length, 3)
})
