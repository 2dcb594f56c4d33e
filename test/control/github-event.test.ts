// What GitHub's events do to releases.
import t from 'tap'
import { editRelease } from '../../src/control/edit-release.ts'
import { applyGithubEvent } from '../../src/control/github-event.ts'
import type { GithubOutcome } from '../../src/control/github-outcome.ts'
import { registerRelease } from '../../src/control/register-release.ts'
import { KEPT_LABELS_MAX, keptLabelBody } from '../../src/rollouts/github-label.ts'
import { peopleBody, PEOPLE_KEY } from '../../src/rollouts/people.ts'
import { releaseDocument } from '../fixtures/command-documents.ts'
import { started } from '../fixtures/command-proof.ts'
import { retryable, type CommandRig } from '../fixtures/command-rig.ts'
import { RELEASE, inMinutes, someChange, someKeptLabel } from '../fixtures/rollout-samples.ts'

const URL = 'https://github.com/acme/agent/pull/7'
const PUSHED = { version: '15.2.5', commit: 'abcdef0', repository: 'acme/agent', at: null } as const
const TAG = { kind: 'release', by: 'bob', ...PUSHED } as const
const KEPT = 'github-label/github.com/acme/agent#'

function label(isVerified: boolean, at = inMinutes(0), number = 7) {
  const pullRequest = { host: 'github.com', repository: 'acme/agent', number }
  return { kind: 'label', isVerified, pullRequest, url: URL, by: 'bob', at } as const
}

const REAL = { dryRun: false, expectedRevisions: null }

function apply(rig: CommandRig, event: Parameters<typeof applyGithubEvent>[2]): Promise<GithubOutcome> {
  return applyGithubEvent(rig.control, rig.request({ actor: 'bob/github' }), event)
}

/** Whose login `bob` is. */
const PEOPLE = {
  [PEOPLE_KEY]: peopleBody({ people: [{ person: 'zoe', logins: ['bob'] }], updatedAt: inMinutes(0), updatedBy: 'ada' }),
}

const changed = { changes: [someChange('1', { url: URL })] }

t.test('a label signs the change off in every release that has it and was not withdrawn, in one commit', async (t) => {
  const withdrawn = { reason: 'r', by: 'ada', at: inMinutes(-9) }
  const rig = await started(t, {
    ...releaseDocument(changed),
    ...releaseDocument({ ...changed, version: '15.3.0', cutAt: inMinutes(-1) }),
    ...releaseDocument({ ...changed, version: '15.4.0', withdrawn }),
    ...releaseDocument({ version: '15.5.0' }),
    ...PEOPLE,
  })
  t.strictSame(await apply(rig, label(true)), { outcome: 'applied', releases: ['15.3.0', RELEASE], warnings: [] })
  t.match((await rig.document(`release/${RELEASE}`))?.body, { changes: [{ signedOff: { by: 'bob/github' } }] })
  t.match(await apply(rig, label(false, inMinutes(1))), { outcome: 'applied', releases: ['15.3.0', RELEASE] })
  t.match((await rig.document(`release/${RELEASE}`))?.body, { changes: [{ signedOff: null }] })
  t.same(
    (await rig.entries()).map(({ kind }) => kind),
    ['release.verify', 'release.unverify'],
  )
})

t.test('an event that comes late has nothing to change', async (t) => {
  const rig = await started(t, releaseDocument(changed))
  await apply(rig, label(true, inMinutes(5)))
  const late = await apply(rig, label(false, inMinutes(1)))
  t.match(late, {
    outcome: 'nothing',
    why: /the event is of .*T00:01:00.*, but one of .*T00:05:00.* has come for github\.com\/acme\/agent#7/,
  })
  t.equal(rig.commits.length, 1)
})

t.test('a tag registers its release as one without packages, once', async (t) => {
  const rig = await started(t, PEOPLE)
  t.strictSame(await apply(rig, TAG), { outcome: 'applied', releases: ['15.2.5'], warnings: [] })
  t.match((await rig.document('release/15.2.5'))?.body, {
    kind: 'control-plane',
    commit: 'abcdef0',
    changes: null,
    repository: 'acme/agent',
  })
  t.match(await apply(rig, TAG), { outcome: 'nothing', why: /is registered already/ })
  t.match(await apply(rig, { ...TAG, version: 'stable' }), { outcome: 'refused', field: 'version' })
  t.equal(rig.commits.length, 1)
})

t.test('a tag of another commit than the registered one is refused, and both are named', async (t) => {
  const rig = await started(t, releaseDocument({ version: '15.2.5', commit: 'abcdef01' }))
  for (const commit of ['abcdef0', 'abcdef0123']) {
    t.match(await apply(rig, { ...TAG, commit }), { outcome: 'nothing', why: /is registered already/ }, commit)
  }
  t.match(await apply(rig, { ...TAG, commit: 'abcdef1' }), {
    outcome: 'refused',
    problem: 'release_exists',
    message: /15\.2\.5 is registered with the commit abcdef01, not with abcdef1/,
  })
  t.equal(rig.commits.length, 0)
})

t.test('a label that comes before its release is kept, and read by the commit that registers it', async (t) => {
  const rig = await started(t)
  t.match(await apply(rig, label(true)), {
    outcome: 'kept',
    why: /no release has the change https:\/\/github\.com\/acme\/agent\/pull\/7/,
  })
  t.match((await rig.document(`${KEPT}7`))?.body, { isVerified: true, by: 'bob/github', at: inMinutes(0) })
  const draft = { version: '15.2.5', commit: 'abcdef0', kind: 'full', repository: 'Acme/Agent' } as const
  const changes = [
    { id: '7', title: 'joins', author: 'ann' },
    { id: 'acme/web#7', title: 'colors', author: 'ann' },
  ]
  t.match(await registerRelease(rig.control, rig.request(), { ...draft, changes }, false), { outcome: 'done' })
  t.match((await rig.document('release/15.2.5'))?.body, {
    changes: [{ signedOff: { by: 'bob/github', at: inMinutes(0) }, labelAt: inMinutes(0) }, { signedOff: null }],
  })
  t.match(await apply(rig, label(false, inMinutes(1))), { outcome: 'applied', releases: ['15.2.5'] })
  t.match((await rig.document(`${KEPT}7`))?.body, { isVerified: false })
  await registerRelease(rig.control, rig.request(), { ...draft, version: '15.2.6', changes }, false)
  t.match((await rig.document('release/15.2.6'))?.body, { changes: [{ signedOff: null }, { signedOff: null }] })
})

t.test('changes that are named later have the labels that came before, those that are edited do not', async (t) => {
  const rig = await started(t, releaseDocument({ version: '15.2.5', changes: null, repository: 'acme/agent' }))
  for (const number of [7, 8]) t.match(await apply(rig, label(true, inMinutes(0), number)), { outcome: 'kept' })
  const edit = async (changes: readonly { readonly id: string; readonly title: string; readonly author: string }[]) => {
    const request = { version: '15.2.5', edit: { changes } }
    t.match(await editRelease(rig.control, rig.request(), request, REAL), { outcome: 'done' })
    return (await rig.document('release/15.2.5'))?.body
  }
  const seven = { id: '7', title: 'joins', author: 'ann' }
  t.match(await edit([seven]), { changes: [{ signedOff: { by: 'bob/github' } }] })
  const eight = { id: '8', title: 'colors', author: 'ann' }
  t.match(await edit([{ ...seven, title: 'faster joins' }, eight]), {
    changes: [{ signedOff: null }, { signedOff: { by: 'bob/github' } }],
  })
})

t.test('an edited change is signed off by no label from before the edit, whatever its id is then', async (t) => {
  const rig = await started(t, releaseDocument({ version: '15.2.5', changes: null, repository: 'acme/agent' }))
  const edit = async (change: { readonly id: string; readonly title: string; readonly url?: string }) => {
    const request = { version: '15.2.5', edit: { changes: [{ author: 'ann', ...change }] } }
    const reason = 'it is another'
    t.match(await editRelease(rig.control, rig.request({ reason }), request, REAL), { outcome: 'done' })
  }
  const changes = async () => (await rig.document('release/15.2.5'))?.body['changes']
  await edit({ id: '7', title: 'joins' })
  await apply(rig, label(true, inMinutes(1)))
  t.match(await changes(), [{ id: '7', signedOff: { by: 'bob/github' } }])
  await edit({ id: 'joins', title: 'faster joins', url: URL })
  t.match(await changes(), [{ id: 'joins', signedOff: null }], 'the same pull request by another id')
  for (const late of [inMinutes(0), inMinutes(1)]) {
    const again = await apply(rig, label(true, late))
    t.match(again, { outcome: 'nothing', why: / has come for github\.com\/acme\/agent#7 already/ }, late)
    t.match(await changes(), [{ signedOff: null, labelAt: null }], late)
  }
  await apply(rig, label(true, inMinutes(2)))
  t.match(await changes(), [{ signedOff: { by: 'bob/github' } }], 'set again after the edit')
})

t.test('a label that the only release refuses is kept for those that come, and why is said', async (t) => {
  const registered = { ...changed, registeredAt: inMinutes(0), version: '15.2.5' }
  const rig = await started(t, releaseDocument(registered))
  const why = /set at .*T23:57:00.*, more than 2 minutes before release 15\.2\.5 was registered/
  t.match(await apply(rig, label(true, inMinutes(-3))), { outcome: 'kept', why })
  t.match((await rig.document('release/15.2.5'))?.body, { changes: [{ signedOff: null }] })
  const draft = { version: '15.2.6', commit: 'abcdef0', kind: 'full' } as const
  const changes = [{ id: '7', title: 'joins', author: 'ann', url: URL }]
  t.match(await registerRelease(rig.control, rig.request(), { ...draft, changes }, false), { outcome: 'done' })
  t.match((await rig.document('release/15.2.6'))?.body, { changes: [{ signedOff: { by: 'bob/github' } }] })
})

t.test('a release whose changes are numbers has their labels once it says its repository', async (t) => {
  const rig = await started(t, releaseDocument({ changes: [someChange('7')] }))
  t.match(await apply(rig, label(true)), { outcome: 'kept', why: /does not say in which repository/ })
  const request = { version: RELEASE, edit: { repository: 'acme/agent' } }
  t.match(await editRelease(rig.control, rig.request(), request, REAL), { outcome: 'done' })
  t.match((await rig.document(`release/${RELEASE}`))?.body, { changes: [{ signedOff: { by: 'bob/github' } }] })
})

t.test('a label and a registration that are made at once do not miss each other', async (t) => {
  const draft = { version: '15.2.5', commit: 'abcdef0', kind: 'full', repository: 'acme/agent' } as const
  const changes = [{ id: '7', title: 'joins', author: 'ann' }]
  const signed = { changes: [{ signedOff: { by: 'bob/github' } }] }
  const first = await started(t)
  first.between = async () => {
    await registerRelease(first.control, first.request(), { ...draft, changes }, false)
  }
  t.match(await apply(first, label(true)), { outcome: 'applied', releases: ['15.2.5'] })
  t.match((await first.document('release/15.2.5'))?.body, signed)
  const second = await started(t)
  second.between = async () => {
    await apply(second, label(true))
  }
  await registerRelease(second.control, second.request(), { ...draft, changes }, false)
  t.match((await second.document('release/15.2.5'))?.body, signed)
})

t.test('kept labels that have expired go with the next, and their number has a limit', async (t) => {
  const old = someKeptLabel({ number: 1, at: inMinutes(-60 * 24 * 8), expiresAt: inMinutes(-1) })
  const rig = await started(t, { [`${KEPT}1`]: keptLabelBody(old) })
  await apply(rig, label(true))
  t.equal(await rig.document(`${KEPT}1`), undefined)
  const many = Array.from({ length: KEPT_LABELS_MAX }, (_, index) => someKeptLabel({ number: 100 + index }))
  const full = Object.fromEntries(many.map((one) => [`${KEPT}${one.number}`, keptLabelBody(one)]))
  const fullRig = await started(t, full)
  await apply(fullRig, label(true))
  const keys = (await fullRig.documents()).map(({ key }) => key)
  const kept = keys.filter((key) => key.startsWith(KEPT))
  t.equal(kept.length, KEPT_LABELS_MAX)
  t.ok(kept.includes(`${KEPT}7`))
})

t.test('a label that is too old to be kept, or older than the one that is, changes nothing and says why', async (t) => {
  const rig = await started(t)
  t.match(await apply(rig, label(true, inMinutes(-60 * 24 * 7))), { outcome: 'nothing', why: /too old to be kept/ })
  await apply(rig, label(false))
  t.match(await apply(rig, label(true)), {
    outcome: 'nothing',
    why: /another event of the same moment, .*, has come for/,
  })
  t.equal(rig.commits.length, 1)
})

t.test('a delivery that comes again is answered from its entry, another one under its id is refused', async (t) => {
  for (const event of [label(true), TAG]) {
    const rig = await started(t, releaseDocument(changed))
    const first = await applyGithubEvent(rig.control, retryable(rig, 'delivery').request, event)
    t.match(first, { outcome: 'applied' })
    const { request, told } = retryable(rig, 'delivery')
    t.strictSame(await applyGithubEvent(rig.control, request, event), first)
    t.match(told.committed, [{ repeated: true }])
    const other = retryable(rig, 'delivery', 'another body').request
    t.strictSame(await applyGithubEvent(rig.control, other, event), { outcome: 'key-reused' })
    t.equal(rig.commits.length, 1)
  }
})
