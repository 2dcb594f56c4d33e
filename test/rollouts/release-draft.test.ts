// Releases as they are asked for, and every change of one: what is refused, and what is kept.
import t from 'tap'
import {
  addArtifacts,
  draftRelease,
  editRelease,
  judgeChange,
  liftEmbargo,
  withdrawRelease,
  type ReleaseDraft,
  type ReleaseEdit,
} from '../../src/rollouts/release-draft.ts'
import { EMBARGOED } from '../../src/rollouts/embargo.ts'
import { NO_PEOPLE, unsignedChanges } from '../../src/rollouts/people.ts'
import { personOf, type Release } from '../../src/rollouts/release.ts'
import { frozen, inHours, NOW } from '../fixtures/channel-samples.ts'
import { allowed, mistakeOf, problemOf, ruleContextOf, someChange, someRelease } from '../fixtures/rollout-samples.ts'

const CONTEXT = ruleContextOf()
const CLOUD = '15.0.0-cloud.20230712T123633.aabbcc'
const DRAFT: ReleaseDraft = { version: '15.2.0', commit: 'aabbccd', kind: 'full' }
const WITHDRAWN = someRelease({ withdrawn: { reason: 'it leaks', by: 'ada', at: inHours(-1) } })
const SIGNED_OFF = { by: 'bob/token-3', at: inHours(-1) }

function drafted(more: Partial<ReleaseDraft> = {}): Release {
  return allowed(draftRelease(frozen({ ...DRAFT, ...more }), [], CONTEXT)).release
}

function mistakeIn(more: Partial<ReleaseDraft>): string {
  return mistakeOf(draftRelease({ ...DRAFT, ...more }, [], CONTEXT))
}

function edited(release: Release, edit: ReleaseEdit, reason: string | null = null): Release {
  return allowed(editRelease(frozen(release), frozen(edit), ruleContextOf({ reason }))).release
}

t.test('a registration says who cut it and when, and leaves open what was not said', async (t) => {
  t.strictSame(drafted({ version: 'v15.2.0', kind: 'control-plane' }), {
    version: '15.2.0',
    commit: 'aabbccd',
    cutAt: inHours(0),
    cutBy: 'grace/token-9',
    registeredAt: inHours(0),
    registeredBy: 'grace/token-9',
    kind: 'control-plane',
    changes: null,
    minAgentVersion: null,
    security: null,
    notesUrl: null,
    packages: [],
    withdrawn: null,
    bad: null,
    edition: 1,
    authors: ['grace'],
  })
  const packages = [{ url: 'https://p.example.com/a.deb', foundAt: inHours(0) }]
  t.strictSame(allowed(draftRelease(DRAFT, packages, CONTEXT)).release.packages, packages)
})

t.test(
  'a release that was cut more than ten minutes from now is refused, by its version or by what is said',
  async (t) => {
    // The context is the first of March, at midnight.
    const ahead = (time: string): Partial<ReleaseDraft> => ({ version: `15.0.0-cloud.20260301T${time}.aabbcc` })
    t.equal(drafted(ahead('001000')).cutAt, '2026-03-01T00:10:00.000Z')
    t.match(
      mistakeIn(ahead('001001')),
      /^version says that it was cut at 2026-03-01T00:10:01.*more than 10 minutes after/,
    )
    t.match(mistakeIn(ahead('001001')), /the time here, 2026-03-01T00:00:00\.000Z/)
    t.match(mistakeIn({ version: '15.0.0-cloud.20990101T000000.aabbcc' }), /^version says/)
    t.equal(drafted({ cutAt: '2026-03-01T00:10:00Z' }).cutAt, '2026-03-01T00:10:00.000Z')
    t.match(mistakeIn({ cutAt: '2026-03-01T00:10:00.001Z' }), /^cutAt says that it was cut at/)
  },
)

t.test('the repository of a release is its name in lower case, however it is written', async (t) => {
  t.equal(drafted({ repository: 'https://github.com/Acme/Agent.git' }).repository, 'acme/agent')
  t.equal(drafted({ repository: null }).repository, null)
  t.match(mistakeIn({ repository: 'agent' }), /^repository must be owner\/name/)
  t.equal(edited(someRelease(), { repository: 'acme/web' }).repository, 'acme/web')
  t.equal(edited(someRelease({ repository: 'acme/web' }), { notesUrl: null }).repository, 'acme/web')
})

t.test('sign-offs of changes that are other pull requests in another repository are taken back', async (t) => {
  const signed = { signedOff: SIGNED_OFF, labelAt: inHours(-1) }
  const changes = [
    someChange('7', signed),
    someChange('acme/web#8', signed),
    someChange('9', { ...signed, url: 'https://github.com/acme/agent/pull/9' }),
    someChange('JIRA-7', signed),
  ]
  const before = someRelease({ changes, repository: 'acme/agent' })
  for (const repository of ['acme/web', null]) {
    t.strictSame(
      edited(before, { repository }).changes,
      [{ ...changes[0], signedOff: null, labelAt: null }, ...changes.slice(1)],
      String(repository),
    )
  }
  t.strictSame(edited(before, { repository: 'Acme/Agent' }).changes, changes, 'the same repository')
  const unnamed = someRelease({ changes })
  t.strictSame(edited(unnamed, { repository: 'acme/web' }).changes, changes, 'a person has signed them off')
  t.equal(edited(someRelease({ changes: null }), { repository: 'acme/web' }).changes, null)
})

t.test('a change whose id names one pull request and whose link another is refused', async (t) => {
  const draft = { id: 'acme/agent#7', title: 'joins', author: 'ann' }
  const changes = (url: string) => ({ changes: [{ ...draft, url }] })
  t.match(
    mistakeIn(changes('https://github.com/acme/web/pull/7')),
    /^changes\/0\/url is that of github\.com\/acme\/web#7, but the id is "acme\/agent#7"/,
  )
  t.match(drafted(changes('https://github.com/Acme/Agent/pull/7')).changes, [{ id: 'acme/agent#7' }])
  t.match(drafted(changes('https://tickets.example.com/7')).changes, [{ id: 'acme/agent#7' }])
})

t.test('a release that was withdrawn takes no edit, be it one that changes nothing', async (t) => {
  for (const edit of [{}, { notesUrl: null }, { changes: [] }]) {
    t.match(problemOf(editRelease(WITHDRAWN, edit, CONTEXT)), ['release_over', /15\.2\.0 was withdrawn: it leaks/])
  }
  const security = { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: null }
  t.match(allowed(liftEmbargo({ ...WITHDRAWN, security }, CONTEXT)).release.security, { liftedAt: inHours(0) })
})

t.test('a Cloud version says itself when it was cut, to the second', async (t) => {
  const at = '2023-07-12T12:36:33.000Z'
  t.equal(drafted({ version: CLOUD }).cutAt, at)
  t.equal(drafted({ version: CLOUD, cutAt: '2023-07-12T14:36:33.999+02:00' }).cutAt, at)
  const mistake = mistakeIn({ version: CLOUD, cutAt: '2023-07-12T12:36:34Z' })
  t.match(mistake, /^cutAt is 2023-07-12T12:36:34.000Z, but the version says 2023-07-12T12:36:33.000Z; leave it out/)
  t.equal(drafted({ cutAt: '2023-07-12T14:36:33+02:00' }).cutAt, at, 'another version says nothing of it')
})

t.test('a registration that cannot be read is refused by the name of its field', async (t) => {
  t.match(mistakeIn({ version: '15.2' }), /^version .*three numbers/)
  t.match(mistakeIn({ cutAt: 'yesterday' }), /^cutAt .*RFC 3339/)
  for (const commit of ['', 'aabbc', 'AABBCC', 'aabbcg', 'a'.repeat(65)]) {
    t.match(mistakeIn({ commit }), /^commit must be 6 to 64 of 0-9 and a-f/, commit)
  }
  t.match(mistakeIn({ version: CLOUD, commit: 'aabbdd' }), /^commit .*does not begin with aabbcc, which the version/)
  t.match(mistakeIn({ version: CLOUD, commit: 'ffaabbcc' }), /^commit .*does not begin with aabbcc/)
  t.equal(drafted({ version: CLOUD, commit: 'aabbccddee' }).commit, 'aabbccddee')
})

t.test(
  'whoever cut the release may be another person than who registers it, by any way to write the name',
  async (t) => {
    for (const cutBy of ['alice', 'Alice', ' ALICE\t', '\u00a0alice\n', 'alice/github', ' Alice/github ']) {
      const release = drafted({ cutBy })
      t.equal(release.cutBy, cutBy.trim())
      t.equal(personOf(release.cutBy), 'alice', JSON.stringify(cutBy))
      t.equal(release.registeredBy, 'grace/token-9')
    }
    for (const cutBy of [
      'a',
      'Ann B. Smith',
      'ann@example.com',
      'under_score',
      'dependabot[bot]',
      'renovate[bot]/github',
    ]) {
      t.equal(drafted({ cutBy }).cutBy, cutBy)
    }
    const none = ['', '   ', '@alice', '-alice', 'alice,bob', 'alice\nbob']
    const strange = ['alice\u0000', 'alice\u200b', '\u0430lice', 'ali\u0441e', 'älice', 'alice;', '<alice>']
    for (const cutBy of [...none, ...strange]) {
      t.match(
        mistakeIn({ cutBy }),
        /^cutBy must be a person's name as on their token or on GitHub, not "[^"]*"$/,
        cutBy,
      )
    }
    // The person would be what stands before the slash, and alice could approve what she has cut.
    const paths = ['acme/alice', 'alice/', 'alice/token-7', 'alice/GitHub', 'alice/github/', 'alice/a/b', 'alice /x']
    for (const cutBy of [...paths, '/', '/alice', '/github', 'alice//', 'alice/ x', 'acme/alice/github']) {
      t.match(
        mistakeIn({ cutBy }),
        /, not ".*"; only `\/github` may stand after the name: of `acme\/alice` give `alice`$/,
      )
    }
  },
)

t.test('a change is significant unless it is said not to be, and nobody has signed it off', async (t) => {
  const changes = [
    { id: '1', title: 'one', author: 'ann', url: 'https://example.com/1' },
    { id: '2', title: 'two', author: 'bob', significant: false },
  ]
  t.strictSame(drafted({ changes }).changes, [
    someChange('1', { title: 'one', url: 'https://example.com/1', addedBy: ['grace'] }),
    someChange('2', { title: 'two', author: 'bob', significant: false, addedBy: ['grace'] }),
  ])
})

t.test('changes, versions and links that are none are refused by their place', async (t) => {
  const change = { id: '1', title: 'one', author: 'ann' }
  t.match(mistakeIn({ changes: [change, { ...change, title: 'two' }] }), /^changes\/1\/id "1" is there twice/)
  for (const url of ['', 'x', 'ftp://example.com', 'javascript:alert(1)', '//example.com']) {
    t.match(mistakeIn({ changes: [{ ...change, url }] }), /^changes\/0\/url .*begins with https:/, url)
    t.match(mistakeIn({ notesUrl: url }), /^notesUrl .*begins with https:/, url)
  }
  t.match(mistakeIn({ minAgentVersion: '14' }), /^minAgentVersion .*three numbers/)
  t.equal(drafted({ minAgentVersion: 'v14.0.0' }).minAgentVersion, '14.0.0')
  t.match(
    mistakeIn({ security: { fixes: ['SEC-2026-1', 'SEC-2026-2', 'SEC-2026-1'] } }),
    /^security\/fixes\/2 is there twice/,
  )
})

t.test('an edit keeps what it does not speak of, and takes away what it sets to null', async (t) => {
  const before = someRelease({ minAgentVersion: '14.0.0', notesUrl: 'https://example.com/notes' })
  t.strictSame(edited(before, {}), before)
  t.strictSame(edited(before, { minAgentVersion: null, notesUrl: null }), {
    ...before,
    minAgentVersion: null,
    notesUrl: null,
    edition: 2,
    authors: ['robot', 'grace'],
  })
})

t.test('an edit of the changes keeps the sign-offs of those that stay as they were', async (t) => {
  const withdrawn = { reason: 'reverted', by: 'bob', at: inHours(-1) }
  const known = [someChange('1', { signedOff: SIGNED_OFF, labelAt: inHours(-1) }), someChange('2', { withdrawn })]
  const asked = ['4', '1', '2'].map((id) => ({ id, title: `change ${id}`, author: 'ann' }))
  const { changes } = edited(someRelease({ changes: known }), { changes: asked })
  t.strictSame(changes, [someChange('4', { addedBy: ['grace'] }), ...known])
})

t.test('a change that is another one now was signed off by nobody', async (t) => {
  const known = someChange('1', { signedOff: SIGNED_OFF, labelAt: inHours(-1), url: 'https://example.com/1' })
  const before = someRelease({ changes: [known] })
  const asked = { id: '1', title: 'change 1', author: 'ann', url: 'https://example.com/1' }
  for (const other of [{ title: 'another' }, { author: 'eve' }, { url: 'https://example.com/2' }, { url: null }]) {
    const { changes } = edited(before, { changes: [{ ...asked, ...other }] })
    t.match(changes, [{ signedOff: null, labelAt: null }], JSON.stringify(other))
  }
  t.strictSame(edited(before, { changes: [{ ...asked, significant: false }] }, 'it is small').changes, [
    { ...known, significant: false },
  ])
})

t.test('a significant change is not left out, or called small, without saying why', async (t) => {
  const changes = [someChange('1', { signedOff: SIGNED_OFF }), someChange('2', { significant: false }), someChange('3')]
  const before = someRelease({ changes })
  const asked = ['1', '2', '3'].map((id) => ({ id, title: `change ${id}`, author: 'ann' }))
  for (const edit of [asked.slice(0, 2), asked.map((change) => ({ ...change, significant: change.id !== '3' }))]) {
    for (const reason of [null, ' ']) {
      t.match(
        mistakeOf(editRelease(before, { changes: edit }, ruleContextOf({ reason }))),
        /^reason is missing; say why change "3" needs no sign-off/,
      )
    }
    t.equal(edited(before, { changes: edit }, 'it is small').changes?.length, edit.length)
  }
  t.equal(edited(before, { changes: asked.filter(({ id }) => id !== '2') }).changes?.length, 2, 'a small one may go')
})

t.test('a title is kept without white space around it, and with one blank for all within', async (t) => {
  const known = someChange('1', { title: ' two  words\n', signedOff: SIGNED_OFF })
  const asked = { id: '1', title: '\ttwo\u00a0 words ', author: 'ann' }
  t.match(drafted({ changes: [asked] }).changes, [{ title: 'two words' }])
  const before = someRelease({ changes: [known] })
  const after = edited(before, { changes: [asked] })
  t.strictSame(after.changes, [{ ...known, title: 'two words' }], 'it is the change that was signed off')
  t.equal(after.edition, before.edition, 'and not another edition')
  t.match(mistakeIn({ changes: [{ ...asked, title: ' \n' }] }), /^changes\/0\/title has nothing in it/)
  t.match(
    mistakeIn({ changes: [{ ...asked, title: ` ${EMBARGOED} ` }] }),
    /^changes\/0\/title is what is shown instead/,
  )
})

t.test('an edit of a release with fixes keeps what it takes away, to be hidden; of another it does not', async (t) => {
  const changes = [
    someChange('1', { title: 'one', url: 'https://example.com/1' }),
    someChange('2', { significant: false }),
  ]
  const asked = [{ id: '1', title: 'another', author: 'ann' }]
  for (const embargoed of [true, false]) {
    const security = { embargoed, fixes: ['SEC-2026-1'], liftedAt: null }
    const before = someRelease({ security, changes, notesUrl: 'https://example.com/notes' })
    const after = edited(before, { changes: asked, notesUrl: null })
    const texts = ['one', 'https://example.com/1', 'change 2', 'https://example.com/notes']
    t.strictSame(after.security, { ...security, earlier: { fixes: [], texts } })
    t.strictSame(edited(before, { minAgentVersion: '14.0.0' }).security, security)
  }
  t.equal(edited(someRelease({ changes }), { changes: asked }).security, null)
  const security = { embargoed: true, fixes: ['SEC-2026-1'] }
  t.strictSame(edited(someRelease({ changes }), { changes: asked, security }, 'it was small').security?.earlier, {
    fixes: [],
    texts: ['one', 'https://example.com/1', 'change 2'],
  })
})

t.test('what is shown instead of a secret is not taken for what it stands for', async (t) => {
  for (const hidden of [{ title: EMBARGOED }, { author: EMBARGOED }]) {
    const changes = [{ id: '1', title: 'one', author: 'ann', ...hidden }]
    t.match(mistakeIn({ changes }), /^changes\/0\/title is what is shown instead of it/, JSON.stringify(hidden))
  }
})

t.test(
  'a fix is no word that stands everywhere: it has eight characters or more and begins with a letter',
  async (t) => {
    for (const fix of ['', 'SEC-1', '2026-CVE-1', 'SEC 2026-1', 'CVE-2026-é', `S${'x'.repeat(100)}`]) {
      t.match(
        mistakeIn({ security: { fixes: ['SEC-2026-1', fix] } }),
        /^security\/fixes\/1 must be 8 characters or more/,
        fix,
      )
    }
    for (const fix of ['CVE-2026-12345', 'abcdefgh', `S${'x'.repeat(99)}`]) {
      t.strictSame(drafted({ security: { fixes: [fix] } }).security?.fixes, [fix])
    }
  },
)

t.test('a release is in another edition once something else is in it, and for nothing besides', async (t) => {
  const before = someRelease({ security: { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: null } })
  const [change] = before.changes ?? []
  const { id, title, author, url } = change ?? { id: '', title: '', author: '', url: null }
  const same = { id, title, author, url }
  for (const edit of [
    { changes: [same] },
    { minAgentVersion: null },
    { notesUrl: 'https://notes.example/15.2.0' },
    { security: { embargoed: true, fixes: ['SEC-2026-1'] } },
  ]) {
    t.equal(edited(before, edit).edition, 1, JSON.stringify(edit))
  }
  for (const edit of [
    { changes: [{ ...same, title: 'another' }] },
    { changes: [{ ...same, significant: false }] },
    { changes: [same, { ...same, id: '2' }] },
    { changes: [] },
    { minAgentVersion: '15.0.0' },
    { security: { embargoed: true, fixes: ['SEC-2026-1', 'SEC-2026-2'] } },
  ]) {
    t.equal(edited(before, edit, 'why').edition, 2, JSON.stringify(edit))
  }
  const [known] = before.packages
  const foundAt = inHours(1)
  const again = { url: known?.url ?? '', foundAt }
  t.equal(allowed(addArtifacts(before, [again], false, CONTEXT)).release.edition, 1, 'found again')
  t.equal(
    allowed(addArtifacts(before, [{ url: 'https://packages.example.com/other.deb', foundAt }], false, CONTEXT)).release
      .edition,
    2,
  )
  t.equal(
    allowed(addArtifacts(someRelease({ kind: 'control-plane' }), [again], false, CONTEXT)).release.edition,
    2,
    'full now',
  )
})

t.test('an embargo is not taken back by an edit, be it left out or its fixes', async (t) => {
  const before = someRelease({ security: { embargoed: true, fixes: ['SEC-2026-1', 'SEC-2026-2'], liftedAt: null } })
  for (const security of [
    { fixes: ['SEC-2026-1', 'SEC-2026-2'] },
    { embargoed: false, fixes: ['SEC-2026-1', 'SEC-2026-2'] },
    { embargoed: true, fixes: ['SEC-2026-1'] },
    { embargoed: true, fixes: [] },
  ]) {
    t.match(
      mistakeOf(editRelease(before, { security }, ruleContextOf({ reason: null }))),
      /^security cannot take an embargo back; lift it/,
    )
  }
  const more = edited(before, { security: { embargoed: true, fixes: ['SEC-2026-3', 'SEC-2026-2', 'SEC-2026-1'] } })
  t.strictSame(more.security, { embargoed: true, fixes: ['SEC-2026-3', 'SEC-2026-2', 'SEC-2026-1'], liftedAt: null })
})

t.test('after the lift no edit changes what was embargoed, or seems to open the embargo again', async (t) => {
  const before = someRelease({ security: { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: inHours(-1) } })
  for (const embargoed of [true, false]) {
    for (const fixes of [['SEC-2026-1', 'SEC-2026-2'], ['SEC-2026-1'], []]) {
      t.match(
        mistakeOf(editRelease(before, { security: { embargoed, fixes } }, ruleContextOf({ reason: null }))),
        /^security cannot change: the embargo of release 15\.2\.0 was lifted at 2026-02-28T23:00:00\.000Z; register the new fix in a release of its own$/,
        `${embargoed} ${fixes.join()}`,
      )
    }
  }
  t.strictSame(edited(before, { minAgentVersion: '14.0.0' }).security, before.security)
})

t.test('security fixes may be known from the beginning, or become an embargo later', async (t) => {
  t.strictSame(drafted({ security: { fixes: ['SEC-2026-1'] } }).security, {
    embargoed: false,
    fixes: ['SEC-2026-1'],
    liftedAt: null,
  })
  const open = someRelease({ security: { embargoed: false, fixes: ['SEC-2026-1'], liftedAt: null } })
  t.strictSame(edited(open, { security: { embargoed: true, fixes: ['SEC-2026-2'] } }).security, {
    embargoed: true,
    fixes: ['SEC-2026-2'],
    liftedAt: null,
    earlier: { fixes: ['SEC-2026-1'], texts: [] },
  })
})

t.test('the id of a change, which everybody sees, has no fix in it, whichever of the two comes later', async (t) => {
  const change = { id: 'backport-sec-2026-1', title: 'one', author: 'ann' }
  const security = { embargoed: true, fixes: ['SEC-2026-1'] }
  t.match(mistakeIn({ changes: [change], security }), /^changes\/0\/id must not be the id of a security fix/)
  const first = someRelease({ changes: [someChange('0'), someChange('backport-sec-2026-1')] })
  t.match(mistakeOf(editRelease(first, { security }, ruleContextOf({ reason: null }))), /^changes\/1\/id/)
  const later = someRelease({ security: { ...security, liftedAt: null } })
  t.match(mistakeOf(editRelease(later, { changes: [change] }, ruleContextOf({ reason: 'new' }))), /^changes\/0\/id/)
  t.notMatch(mistakeIn({ changes: [change], security }), /sec-2026-1/i, 'the refusal does not say which')
})

t.test('artifacts make a release full; a package that is found again is there once', async (t) => {
  const [a, b] = ['a', 'b'].map((name) => ({ url: `https://p.example.com/${name}.deb`, foundAt: inHours(-2) })) as [
    { url: string; foundAt: string },
    { url: string; foundAt: string },
  ] // Of two.
  const before = frozen(someRelease({ kind: 'control-plane', packages: [a, b] }))
  const again = { ...a, foundAt: inHours(0) }
  const { release } = allowed(addArtifacts(before, [again], false, CONTEXT))
  t.strictSame(release, { ...before, kind: 'full', packages: [b, again], edition: 2, authors: ['robot', 'grace'] })
  t.strictSame(allowed(addArtifacts(before, [again], true, CONTEXT)).release.packages, [again], 'these are all')
  t.match(problemOf(addArtifacts(WITHDRAWN, [a], false, CONTEXT)), ['release_over', /15\.2\.0 was withdrawn: it leaks/])
})

t.test('a change is signed off once, by the first who does', async (t) => {
  const before = frozen(someRelease({ changes: [someChange('1'), someChange('2')] }))
  const { release } = allowed(judgeChange(before, '2', 'verify', CONTEXT))
  t.strictSame(release.changes, [
    someChange('1'),
    someChange('2', { signedOff: { by: 'grace/token-9', at: inHours(0) } }),
  ])
  const again = allowed(judgeChange(release, '2', 'verify', ruleContextOf({ actor: 'eve', now: NOW + 1 })))
  t.strictSame(again.release, release)
})

t.test('a sign-off is taken back only where there is one', async (t) => {
  const before = someRelease({ changes: [someChange('1', { signedOff: SIGNED_OFF })] })
  const { release } = allowed(judgeChange(before, '1', 'unverify', CONTEXT))
  t.strictSame(release.changes, [someChange('1')])
  t.match(problemOf(judgeChange(release, '1', 'unverify', CONTEXT)), ['not_verified', /"1" is not signed off/])
})

t.test('a change is withdrawn with a reason, and needs no sign-off any more', async (t) => {
  const before = someRelease({ changes: [someChange('1')] })
  for (const reason of [null, '', ' \n']) {
    t.match(
      mistakeOf(judgeChange(before, '1', 'withdraw', ruleContextOf({ reason }))),
      /^reason is missing; say why the change/,
    )
  }
  const { release } = allowed(judgeChange(before, '1', 'withdraw', ruleContextOf({ reason: ' reverted ' })))
  t.match(release.changes, [{ withdrawn: { reason: 'reverted', by: 'grace/token-9', at: inHours(0) } }])
  t.strictSame(unsignedChanges(release, NO_PEOPLE), [])
  const again = (reason: string) =>
    judgeChange(release, '1', 'withdraw', ruleContextOf({ reason, actor: 'bob/token-3' }))
  t.equal(allowed(again('reverted')).release, release, 'said again: who said it first stands')
  t.match(allowed(again('moved')).release.changes, [{ withdrawn: { reason: 'moved', by: 'bob/token-3' } }])
})

t.test('a change that the release does not have is not judged, and nothing of a withdrawn release is', async (t) => {
  for (const verdict of ['verify', 'unverify', 'withdraw'] as const) {
    t.match(problemOf(judgeChange(someRelease(), '7', verdict, CONTEXT)), [
      'unknown_change',
      /15\.2\.0 has no change "7"/,
    ])
    t.match(problemOf(judgeChange(someRelease({ changes: null }), '1', verdict, CONTEXT)), [
      'unknown_change',
      /no change/,
    ])
    t.match(problemOf(judgeChange(WITHDRAWN, '1', verdict, CONTEXT)), ['release_over', /withdrawn: it leaks/])
  }
})

t.test('significant changes wait for a sign-off; where nobody has named the changes, nobody knows', async (t) => {
  const changes = [
    someChange('1'),
    someChange('2', { significant: false }),
    someChange('3', { signedOff: SIGNED_OFF }),
    someChange('4', { withdrawn: { reason: 'reverted', by: 'bob', at: inHours(-1) } }),
  ]
  t.strictSame(
    unsignedChanges(someRelease({ changes }), NO_PEOPLE)?.map(({ id }) => id),
    ['1'],
  )
  t.strictSame(unsignedChanges(someRelease({ changes: [] }), NO_PEOPLE), [])
  t.equal(unsignedChanges(someRelease({ changes: null }), NO_PEOPLE), null)
})

t.test('a release is withdrawn once, with a reason', async (t) => {
  t.match(
    mistakeOf(withdrawRelease(someRelease(), ruleContextOf({ reason: ' ' }))),
    /^reason is missing; say what is wrong/,
  )
  const { release } = allowed(withdrawRelease(frozen(someRelease()), ruleContextOf({ reason: ' it leaks ' })))
  t.strictSame(release, someRelease({ withdrawn: { reason: 'it leaks', by: 'grace/token-9', at: inHours(0) } }))
  t.match(problemOf(withdrawRelease(release, CONTEXT)), ['release_over', /withdrawn: it leaks/])
})

t.test('an embargo is lifted once, and only where there is one', async (t) => {
  const security = { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: null }
  const { release } = allowed(liftEmbargo(someRelease({ security }), CONTEXT))
  t.strictSame(release.security, { ...security, liftedAt: inHours(0) })
  for (const none of [release, someRelease(), someRelease({ security: { ...security, embargoed: false } })]) {
    t.match(problemOf(liftEmbargo(none, CONTEXT)), ['not_embargoed', /15\.2\.0 is under no embargo/])
  }
})

t.test('two tokens of one name are one person, whatever letters it is written in', async (t) => {
  t.equal(personOf('Ann/token-1'), 'ann')
  t.equal(personOf('ANN/token-2'), personOf('ann'))
  t.equal(personOf('ann /token-3'), 'ann', 'a token may be called so')
  t.equal(personOf('team/ann/token-1'), 'team/ann')
})
