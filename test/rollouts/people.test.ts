// Who may approve a release or sign a change off: nobody what they have written.
import t from 'tap'
import { NO_PEOPLE, peopleOf, unsignedChanges, type People } from '../../src/rollouts/people.ts'
import { approvers, conditionBlockers } from '../../src/rollouts/conditions.ts'
import type { Release } from '../../src/rollouts/release.ts'
import { addArtifacts, AUTHORS_MAX, draftRelease, editRelease, judgeChange } from '../../src/rollouts/release-draft.ts'
import { approveStage } from '../../src/rollouts/rollout-draft.ts'
import { inHours, nothingBlocked } from '../fixtures/channel-samples.ts'
import {
  allowed,
  codesOf,
  problemOf,
  ruleContextOf,
  someChange,
  someFacts,
  someRelease,
  someRollout,
  someStage,
} from '../fixtures/rollout-samples.ts'

const as = (actor: string, person?: string) => ruleContextOf({ actor, ...(person === undefined ? {} : { person }) })
const ROLLOUT = someRollout([{ rules: someStage('all', { approvals: 1 }) }])
const LOGINS: People = { logins: new Map([['octocat', 'bob']]), isUnreadable: false }

function registered(actor: string, person?: string): Release {
  const draft = { version: '15.2.0', commit: 'aabbccd', kind: 'full' } as const
  const changes = [{ id: '1', title: 'one', author: 'ann' }]
  return allowed(draftRelease({ ...draft, changes }, [], as(actor, person))).release
}

function approve(release: Release, actor: string, person?: string) {
  return approveStage(ROLLOUT, release, { index: 0, looked: null }, as(actor, person))
}

t.test('who has edited a release, or added packages, may not approve it under any of their tokens', async (t) => {
  const first = registered('ci/t1')
  const edited = allowed(editRelease(first, { minAgentVersion: '14.0.0' }, as('bob/t2'))).release
  const packages = [{ url: 'https://packages.example.com/a.deb', foundAt: inHours(0) }]
  const packed = allowed(addArtifacts(edited, packages, false, as('x/t3', 'Eve'))).release
  t.strictSame(packed.authors, ['ci', 'bob', 'eve'])
  for (const [actor, person] of [['ci/t9'], ['BOB/t9'], ['robot/t8', 'bob'], ['eve/t7'], ['any/t7', 'EVE']] as const) {
    t.match(problemOf(approve(packed, actor, person)), ['not_approver', /somebody else must approve it/], actor)
  }
  t.match(allowed(approve(packed, 'mia/t5', 'mia')).rollout.stages[0]?.approvals, [{ by: 'mia/t5' }])
  t.match(allowed(approve(packed, 'bob/t5', 'mia')).rollout.stages[0]?.approvals, [{ by: 'bob/t5', person: 'mia' }])
  t.match(allowed(approve(packed, 'ann/t6')).rollout, {}, 'the author of a listed change may')
})

t.test('an edit that changes nothing of the content makes nobody an author', async (t) => {
  const release = registered('ci/t1')
  t.strictSame(allowed(editRelease(release, { notesUrl: 'https://example.com' }, as('bob/t2'))).release.authors, ['ci'])
  const known = someRelease({ minAgentVersion: '14.0.0' })
  t.equal(allowed(editRelease(known, { minAgentVersion: '14.0.0' }, as('bob/t2'))).release.authors, undefined)
})

t.test('a release that 100 people have written is edited by no other one: too_many_authors', async (t) => {
  const authors = Array.from({ length: AUTHORS_MAX }, (_, index) => `p${index}`)
  const release = someRelease({ authors })
  const edit = { minAgentVersion: '14.0.0' }
  t.match(problemOf(editRelease(release, edit, as('bob/t2'))), ['too_many_authors', /cut another version/])
  t.equal(allowed(editRelease(release, edit, as('p7/t2'))).release.authors?.length, AUTHORS_MAX)
})

t.test('nobody signs off a change that they have written or listed: own_change', async (t) => {
  const release = registered('ci/t1')
  const sign = (actor: string, people: People = NO_PEOPLE) =>
    judgeChange(release, '1', 'verify', { ...as(actor), people })
  for (const actor of ['ci/t2', 'ANN/t3']) t.match(problemOf(sign(actor)), ['own_change', /somebody else/], actor)
  const byLogin = someRelease({ changes: [someChange('1', { author: '@Octocat' })] })
  const own = judgeChange(byLogin, '1', 'verify', { ...as('bob/t2'), people: LOGINS })
  t.match(problemOf(own), ['own_change'], 'the login of the author is mapped to the signer')
  t.match(allowed(sign('bob/t4')).release.changes, [{ signedOff: { by: 'bob/t4' } }])
})

t.test('who changes a listed change has listed it, too; who leaves it as it is has not', async (t) => {
  const release = registered('ci/t1')
  const same = { id: '1', title: 'one', author: 'ann' }
  const edited = allowed(editRelease(release, { changes: [{ ...same, author: 'zoe' }] }, as('bob/t2'))).release
  t.strictSame(edited.changes?.[0]?.addedBy, ['ci', 'bob'])
  const more = { changes: [same, { ...same, id: '2' }] }
  const grown = allowed(editRelease(release, more, as('bob/t2'))).release
  t.strictSame(
    grown.changes?.map(({ addedBy }) => addedBy),
    [['ci'], ['bob']],
  )
})

t.test('a sign-off of a GitHub login counts once it is mapped, and not where that is the author', async (t) => {
  const signedOff = { by: 'Octocat/github', at: inHours(-1) }
  const unsigned = (release: Release, people: People): number => unsignedChanges(release, people)?.length ?? -1
  const release = someRelease({ changes: [someChange('1', { signedOff })] })
  t.equal(unsigned(release, NO_PEOPLE), 1)
  t.equal(unsigned(release, LOGINS), 0)
  const own = someRelease({ changes: [someChange('1', { signedOff, author: 'bob' })] })
  t.equal(unsigned(own, LOGINS), 1)
  // Somebody else may sign it off in its place.
  const signed = allowed(judgeChange(own, '1', 'verify', { ...as('eve/t1'), people: LOGINS })).release
  t.match(signed.changes, [{ signedOff: { by: 'eve/t1' } }])
})

t.test('who withdraws a change of their own has written the release: others approve it again', async (t) => {
  const release = someRelease({ changes: [someChange('1')] })
  const own = allowed(judgeChange(release, '1', 'withdraw', as('ann/t1'))).release
  t.match(own, { edition: 2, authors: ['robot', 'ann'] })
  t.equal(allowed(judgeChange(release, '1', 'withdraw', as('eve/t1'))).release.edition, 1)
})

t.test(
  'a release that an unmapped login has written is held where approvals are required: unknown_person',
  async (t) => {
    const approvals = [{ by: 'eve/t1', at: inHours(-1), edition: 1 }]
    const rollout = someRollout([{ rules: someStage('all', { approvals: 1 }), progress: { approvals } }])
    const release = { ...registered('octocat/github'), changes: [] }
    const held = (people: People, more: object = {}) =>
      codesOf(conditionBlockers(someFacts(rollout, { release: { ...release, ...more }, people }), 0))
    const [packages] = [someRelease().packages]
    t.strictSame(held(NO_PEOPLE, { packages }), ['unknown_person'])
    t.strictSame(held(LOGINS, { packages }), [])
    t.strictSame(held(LOGINS, { packages, cutBy: 'stranger/github' }), ['unknown_person'])
    const free = someRollout([{ rules: someStage('all') }])
    const facts = someFacts(free, { release: { ...release, packages }, isBlocked: nothingBlocked })
    t.strictSame(codesOf(conditionBlockers(facts, 0)), [], 'nothing is required')
    const own = someRollout([
      { rules: someStage('all', { approvals: 1 }), progress: { approvals: [{ ...approvals[0]!, by: 'bob/t1' }] } },
    ])
    t.strictSame(approvers(release, own.stages[0]!, LOGINS), [], 'the person behind the login')
  },
)

t.test('where the list of people cannot be read, nobody is known', async (t) => {
  const people = peopleOf({ key: 'people/all', revision: 1, format: 1, body: {}, unreadable: 'it is torn' })
  const rollout = someRollout([{ rules: someStage('all', { requireSignOff: true }) }])
  t.strictSame(codesOf(conditionBlockers(someFacts(rollout, { people }), 0)), ['unknown_person'])
})
