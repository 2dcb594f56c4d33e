// Label events: for which releases one counts, which one is kept, and what a release that comes later makes of it.
import t from 'tap'
import { NO_PEOPLE } from '../../src/rollouts/people.ts'
import {
  applyLabel,
  isSameLabel,
  KEPT_LABEL_MS,
  KEPT_LABELS_MAX,
  keepLabel,
  outdatedLabels,
  withKeptLabels,
  type LabelEvent,
} from '../../src/rollouts/github-label.ts'
import type { PullRequest } from '../../src/rollouts/pull-request.ts'
import type { Release, ReleaseChange } from '../../src/rollouts/release.ts'
import { frozen, inHours, NOW } from '../fixtures/channel-samples.ts'
import { inMinutes, someChange, someKeptLabel, someRelease } from '../fixtures/rollout-samples.ts'

const URL = 'https://github.com/acme/agent/pull/7'
const LABEL: LabelEvent = {
  isVerified: true,
  pullRequest: { host: 'github.com', repository: 'acme/agent', number: 7 },
  url: URL,
  by: 'bob/github',
  at: inHours(-1),
}
const AT_NOW = { now: NOW, people: NO_PEOPLE }
const REMOVAL = { ...LABEL, isVerified: false }
const always = (): boolean => true

function withChange(more: Partial<ReleaseChange> = {}, release: Partial<Release> = {}): Release {
  return frozen(someRelease({ changes: [someChange('1', { url: URL, ...more })], ...release }))
}

function applied(release: Release, label: LabelEvent): readonly ReleaseChange[] {
  const outcome = applyLabel(release, label, AT_NOW)
  if (outcome?.outcome !== 'applied') throw new Error(`not applied: ${JSON.stringify(outcome)}`)
  return outcome.release.changes ?? []
}

function refusal(release: Release, label: LabelEvent): string {
  const outcome = applyLabel(release, label, AT_NOW)
  if (outcome === null || outcome.outcome === 'applied') throw new Error(`not refused: ${JSON.stringify(outcome)}`)
  return `${outcome.outcome}: ${outcome.why}`
}

t.test('a label signs off the changes that are its pull request, and no others', async (t) => {
  const signedOff = { by: 'bob/github', at: inHours(0) }
  t.match(applied(withChange(), LABEL), [{ signedOff, labelAt: LABEL.at }])
  const changes = [
    someChange('7'),
    someChange('acme/web#7'),
    someChange('Acme/Agent#7'),
    someChange('8', { url: 'http://GitHub.com/ACME/agent/pull/7/' }),
  ]
  const [byNumber, elsewhere, byId, byLink] = applied(someRelease({ changes, repository: 'acme/agent' }), LABEL)
  t.match([byNumber, byId, byLink], [{ signedOff }, { signedOff }, { signedOff }])
  t.equal(elsewhere, changes[1])
})

t.test('the number alone is a pull request of the release, not of whichever repository has a label', async (t) => {
  const release = (repository: string | null): Release => someRelease({ changes: [someChange('7')], repository })
  t.equal(applyLabel(release('acme/web'), LABEL, AT_NOW), null)
  t.match(applied(release('acme/agent'), LABEL), [{ signedOff: { by: 'bob/github' } }])
  t.match(
    refusal(release(null), LABEL),
    /^unknown: release 15\.2\.0 has a change 7, but does not say in which repository; PATCH/,
  )
  t.equal(applyLabel(someRelease({ changes: [someChange('77')] }), LABEL, AT_NOW), null)
  t.equal(applyLabel(someRelease({ changes: null }), LABEL, AT_NOW), null)
})

t.test('the latest event counts in whatever order they come, and of two of one moment the removal', async (t) => {
  t.match(applied(withChange({ labelAt: LABEL.at }), REMOVAL), [{ signedOff: null, labelAt: LABEL.at }])
  const signed = { signedOff: { by: 'eve/github', at: inHours(-1) }, labelAt: LABEL.at }
  t.match(applied(withChange(signed), REMOVAL), [{ signedOff: null }])
  const again = refusal(withChange({ labelAt: LABEL.at }), LABEL)
  t.match(
    again,
    /^refused: another event of the same moment, 2026-02-28T23:00:00\.000Z, has counted .* a removal counts/,
  )
  for (const late of [LABEL, REMOVAL]) {
    const why = refusal(withChange({ labelAt: inMinutes(-59) }), late)
    t.match(
      why,
      /^refused: the event is of 2026-02-28T23:00:00\.000Z, but one of 2026-02-28T23:01:00\.000Z has counted/,
    )
  }
  t.match(applied(withChange({ labelAt: inMinutes(-61) }), LABEL), [{ signedOff: { by: 'bob/github' } }])
})

t.test('a label may seem two minutes older than the registration, a removal as old as it is', async (t) => {
  const release = (minutes: number): Release => withChange({}, { registeredAt: inMinutes(-60 + minutes) })
  t.match(applied(release(2), LABEL), [{ signedOff: { by: 'bob/github' } }])
  t.match(
    refusal(release(2.1), LABEL),
    /^refused: .*more than 2 minutes before release 15\.2\.0 was registered .*set it again/,
  )
  t.match(applied(release(50), REMOVAL), [{ signedOff: null, labelAt: LABEL.at }])
})

t.test('no label counts for a release that was withdrawn', async (t) => {
  const withdrawn = { reason: 'r', by: 'ada', at: inHours(-1) }
  t.equal(applyLabel(withChange({}, { withdrawn }), LABEL, AT_NOW), null)
})

t.test('the newest event of a pull request is kept for seven days from its own time on', async (t) => {
  const kept = someKeptLabel()
  t.strictSame(keepLabel(LABEL, null, NOW), kept)
  t.strictSame(keepLabel(REMOVAL, kept, NOW), { ...kept, isVerified: false }, 'of one moment the removal')
  t.equal(keepLabel(LABEL, { ...kept, isVerified: false }, NOW), null)
  t.equal(keepLabel(REMOVAL, { ...kept, at: inMinutes(-59) }, NOW), null, 'a later one is kept')
  t.match(keepLabel(LABEL, { ...kept, at: inMinutes(-61) }, NOW), { at: LABEL.at })
  t.equal(keepLabel(LABEL, null, NOW - 3_600_000 + KEPT_LABEL_MS), null, 'it is over already')
  t.not(keepLabel(LABEL, null, NOW - 3_600_001 + KEPT_LABEL_MS), null)
})

t.test('a release that comes later has the label, until it expires', async (t) => {
  const changes = [someChange('7'), someChange('acme/web#7'), someChange('8', { url: URL })]
  const release = frozen(someRelease({ changes, repository: 'acme/agent' }))
  const kept = someKeptLabel()
  const signed = { signedOff: { by: 'bob/github', at: kept.at }, labelAt: kept.at }
  t.strictSame(withKeptLabels(release, [kept], always, NOW).changes, [
    { ...changes[0], ...signed },
    changes[1],
    { ...changes[2], ...signed },
  ])
  t.strictSame(withKeptLabels(release, [kept], (id) => id === '8', NOW).changes?.[0], changes[0])
  const isElsewhere = (_: string, { host }: PullRequest): boolean => host !== 'github.com'
  t.strictSame(withKeptLabels(release, [kept], isElsewhere, NOW).changes?.[2], changes[2], 'not new by its link')
  t.strictSame(withKeptLabels(release, [kept], always, Date.parse(kept.expiresAt)).changes, changes)
  const removal = { ...kept, isVerified: false }
  t.match(withKeptLabels(release, [removal], always, NOW).changes, [{ signedOff: null, labelAt: kept.at }, {}, {}])
  const elsewhere = { ...removal, host: 'git.example.com' }
  t.match(
    withKeptLabels(release, [kept, elsewhere], always, NOW).changes,
    [{ signedOff: null }, {}, { signedOff: { by: 'bob/github' } }],
    'a number can be that of either host, a link only of its own',
  )
})

t.test('what has expired goes, and the oldest where there are too many', async (t) => {
  const labels = Array.from({ length: KEPT_LABELS_MAX + 2 }, (_, number) =>
    someKeptLabel({ number: number + 1, at: inMinutes(-number - 1) }),
  )
  t.same(
    outdatedLabels(labels, -Infinity).map(({ number }) => number),
    [KEPT_LABELS_MAX + 2, KEPT_LABELS_MAX + 1],
  )
  t.strictSame(outdatedLabels(labels.slice(2), -Infinity), [])
  const over = someKeptLabel({ number: 5_000, expiresAt: inHours(0) })
  t.strictSame(outdatedLabels([...labels.slice(0, 3), over], NOW), [over])
  t.strictSame(outdatedLabels([over], -Infinity), [], 'nothing ends by a clock that is not confirmed')
})

t.test('labels are the same whatever their case', async (t) => {
  t.ok(isSameLabel('Cloud/Verified', 'cloud/verified'))
  t.ok(isSameLabel('gepr\u00fcft', 'GEPRU\u0308FT'))
  t.notOk(isSameLabel('cloud/verified', 'cloud-verified'))
})
