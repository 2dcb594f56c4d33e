// The judge of the replay: it must find a server that answers wrongly, or "no wrong answers" would say nothing.
import t from 'tap'
import { journalFaults } from '../../bench/journal.ts'
import { absent, ReplayCheck, type Told } from '../../bench/replay-check.ts'
import type { JournalEntry } from '../../src/store/port.ts'

const CHANNEL = 'stable/cloud'

/** A channel that has been created with 1.0.0 and then moved to 1.1.0, both acknowledged. */
function moved(): ReplayCheck {
  const check = new ReplayCheck()
  check.begin(CHANNEL, absent)
  check.changeAcknowledged(check.changeSent(CHANNEL, '1.0.0'))
  check.changeAcknowledged(check.changeSent(CHANNEL, '1.1.0'))
  return check
}

function ask(check: ReplayCheck, told: Told | { readonly strange: string }): void {
  check.pollAnswered(check.pollSent(CHANNEL), told)
}

await t.test('answers that were the target are right', (t) => {
  const check = new ReplayCheck()
  check.begin(CHANNEL, absent)
  ask(check, absent)
  check.changeAcknowledged(check.changeSent(CHANNEL, '1.0.0'))
  ask(check, '1.0.0')
  check.changeAcknowledged(check.changeSent(CHANNEL, null))
  ask(check, null)
  check.changeAcknowledged(check.changeSent(CHANNEL, '1.0.0'))
  ask(check, '1.0.0')
  t.equal(check.wrong, 0)
  t.equal(check.polls, 4)
  t.end()
})

await t.test('a poll during a change may be told the version before or the new one', (t) => {
  const check = moved()
  const early = check.pollSent(CHANNEL)
  const change = check.changeSent(CHANNEL, '1.2.0')
  const during = check.pollSent(CHANNEL)
  check.pollAnswered(during, '1.1.0')
  check.pollAnswered(check.pollSent(CHANNEL), '1.2.0')
  check.changeAcknowledged(change)
  check.pollAnswered(early, '1.1.0')
  t.equal(check.wrong, 0)
  t.end()
})

await t.test('a version that was never a target is found', (t) => {
  const check = moved()
  ask(check, '6.6.6')
  t.equal(check.wrong, 1)
  t.match(check.descriptions, ['stable/cloud told 6.6.6, but only 1.1.0 was possible'])
  t.end()
})

await t.test('an old version after the change was acknowledged is found', (t) => {
  const check = moved()
  ask(check, '1.0.0')
  t.equal(check.wrong, 1)
  t.end()
})

await t.test('a 404 in the middle is found, and so is "no version" where there is one', (t) => {
  const check = moved()
  ask(check, absent)
  ask(check, null)
  t.equal(check.wrong, 2)
  t.end()
})

await t.test('an answer that is neither a version nor an expected 404 is found', (t) => {
  const check = moved()
  ask(check, { strange: '503 no channel is loaded yet' })
  t.equal(check.wrong, 1)
  t.match(check.descriptions, [/503 no channel is loaded yet/])
  t.end()
})

await t.test('a version that comes after the one that somebody was told is found, acknowledged or not', (t) => {
  const check = moved()
  const change = check.changeSent(CHANNEL, '1.2.0')
  ask(check, '1.2.0')
  ask(check, '1.1.0')
  t.equal(check.wrong, 1)
  check.changeAcknowledged(change)
  t.equal(check.wrong, 1)
  t.end()
})

await t.test('a version that was told and then refused is found', (t) => {
  const check = moved()
  const change = check.changeSent(CHANNEL, '1.2')
  ask(check, '1.2')
  ask(check, '1.2')
  t.equal(check.wrong, 0, 'nobody can know yet')
  check.changeRefused(change)
  t.equal(check.wrong, 2)
  ask(check, '1.1.0')
  t.equal(check.wrong, 2)
  t.end()
})

await t.test('after a refusal the version before is still the right one, and no other', (t) => {
  const check = moved()
  check.changeRefused(check.changeSent(CHANNEL, '1.2'))
  ask(check, '1.1.0')
  t.equal(check.wrong, 0)
  ask(check, '1.0.0')
  t.equal(check.wrong, 1)
  t.end()
})

await t.test('only the first wrong answers are described, but all are counted', (t) => {
  const check = moved()
  for (let poll = 0; poll < 100; poll += 1) ask(check, '6.6.6')
  t.equal(check.wrong, 100)
  t.equal(check.descriptions.length, 20)
  t.end()
})

/** An entry of the journal that leaves a channel at a revision with a version. */
function entry(seq: number, channel: string, revision: number, version: string): JournalEntry {
  const key = `channel/${channel}`
  const after = { key, revision, format: 1, body: { name: channel, source: { kind: 'static', version } } }
  const said = { at: '2024-05-01T12:00:00Z', actor: 'admin', kind: 'channel.version', reason: null, requestId: null }
  return { seq, mark: 'm', format: 1, ...said, subjects: [key], changes: [{ key, before: null, after }] }
}

await t.test('a journal that has every acknowledged change once, in order, has no faults', (t) => {
  const entries = [entry(8, 'a', 1, '1.0.0'), entry(9, 'b', 1, '1.0.0'), entry(10, 'a', 2, '1.1.0')]
  const acknowledged = new Map([
    ['a', [1, 2].map((revision) => ({ revision, version: `1.${revision - 1}.0` }))],
    ['b', [{ revision: 1, version: '1.0.0' }]],
  ])
  t.same(journalFaults(entries, 7, acknowledged), [])
  t.end()
})

await t.test('a gap, a missing change, a repeated one and one in disorder are faults of the journal', (t) => {
  const one = new Map([['a', [{ revision: 1, version: '1.0.0' }]]])
  t.match(journalFaults([entry(2, 'a', 1, '1.0.0')], 0, one), ['entry 2 stands where 1 belongs'])
  t.match(journalFaults([], 0, one), [/a: revision 1 \(1\.0\.0\) is not where it belongs/])
  const twice = [entry(1, 'a', 1, '1.0.0'), entry(2, 'a', 2, '1.0.0')]
  t.match(journalFaults(twice, 0, one), ['a: 2 journal entries for 1 acknowledged changes'])
  const two = new Map([['a', [...(one.get('a') ?? []), { revision: 2, version: '1.1.0' }]]])
  const swapped = [entry(1, 'a', 2, '1.1.0'), entry(2, 'a', 1, '1.0.0')]
  t.match(journalFaults(swapped, 0, two), [/a: revision 1/])
  t.match(journalFaults([entry(1, 'a', 1, '1.0.1')], 0, one), [/a: revision 1/])
  t.end()
})
