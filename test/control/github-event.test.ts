// What GitHub's events do to releases.
import t from 'tap'
import { applyGithubEvent } from '../../src/control/github-event.ts'
import type { GithubOutcome } from '../../src/control/github-outcome.ts'
import { releaseDocument } from '../fixtures/command-documents.ts'
import { started } from '../fixtures/command-proof.ts'
import { retryable, type CommandRig } from '../fixtures/command-rig.ts'
import { RELEASE, inMinutes, someChange } from '../fixtures/rollout-samples.ts'

const URL = 'https://github.com/acme/agent/pull/7'
const TAG = { kind: 'release', version: '15.2.5', commit: 'abcdef0', by: 'bob', at: null } as const

function label(isVerified: boolean, at = inMinutes(0), url = URL) {
  return { kind: 'label', isVerified, number: 7, url, by: 'bob', at } as const
}

function apply(rig: CommandRig, event: Parameters<typeof applyGithubEvent>[2]): Promise<GithubOutcome> {
  return applyGithubEvent(rig.control, rig.request({ actor: 'bob/github' }), event)
}

const changed = { changes: [someChange('1', { url: URL })] }

t.test('a label signs the change off in every release that has it and was not withdrawn, in one commit', async (t) => {
  const withdrawn = { reason: 'r', by: 'ada', at: inMinutes(-9) }
  const rig = await started(t, {
    ...releaseDocument(changed),
    ...releaseDocument({ ...changed, version: '15.3.0', cutAt: inMinutes(-1) }),
    ...releaseDocument({ ...changed, version: '15.4.0', withdrawn }),
    ...releaseDocument({ version: '15.5.0' }),
  })
  t.strictSame(await apply(rig, label(true)), { outcome: 'applied', releases: ['15.3.0', RELEASE] })
  t.match((await rig.document(`release/${RELEASE}`))?.body, { changes: [{ signedOff: { by: 'bob/github' } }] })
  t.strictSame(await apply(rig, label(false, inMinutes(1))), { outcome: 'applied', releases: ['15.3.0', RELEASE] })
  t.match((await rig.document(`release/${RELEASE}`))?.body, { changes: [{ signedOff: null }] })
  t.same(
    (await rig.entries()).map(({ kind }) => kind),
    ['release.verify', 'release.unverify'],
  )
})

t.test('an event that comes late, or is about no change, has nothing to change', async (t) => {
  const rig = await started(t, releaseDocument(changed))
  await apply(rig, label(true, inMinutes(5)))
  t.match(await apply(rig, label(false, inMinutes(1))), { outcome: 'nothing', why: /a later event of it was heard/ })
  t.match(await apply(rig, label(true, inMinutes(9), `${URL}7`)), { outcome: 'nothing' })
  t.equal(rig.commits.length, 1)
})

t.test('a tag registers its release as one without packages, once', async (t) => {
  const rig = await started(t)
  t.strictSame(await apply(rig, TAG), { outcome: 'applied', releases: ['15.2.5'] })
  t.match((await rig.document('release/15.2.5'))?.body, { kind: 'control-plane', commit: 'abcdef0', changes: null })
  t.match(await apply(rig, TAG), { outcome: 'nothing', why: /is registered already/ })
  t.match(await apply(rig, { ...TAG, version: 'stable' }), { outcome: 'refused', field: 'version' })
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
