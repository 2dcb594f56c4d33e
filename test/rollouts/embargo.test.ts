// Embargoed fixes: which releases must have them, and that nothing of them is shown to who may not know.
import fc from 'fast-check'
import t from 'tap'
import {
  EMBARGOED,
  embargoOf,
  missingFix,
  Secrets,
  whenHeld,
  withoutPast,
  type Embargo,
} from '../../src/rollouts/embargo.ts'
import { releaseBody, type Release } from '../../src/rollouts/release.ts'
import { editRelease, liftEmbargo, type ReleaseEdit } from '../../src/rollouts/release-draft.ts'
import type { Json } from '../../src/store/port.ts'
import { frozen, inHours } from '../fixtures/channel-samples.ts'
import { allowed, ruleContextOf, someChange, someRelease } from '../fixtures/rollout-samples.ts'

const OPEN = { embargoed: true, fixes: ['SEC-2026-1', 'SEC-2026-2'], liftedAt: null }
const EMBARGO: Embargo = {
  ...{ release: '15.1.9', fixes: OPEN.fixes },
  ...{ since: inHours(-4), registeredAt: inHours(-3.5), liftedAt: null },
}
const TITLE = 'sessions end with their certificate'
const LINK = 'https://git.example.com/private/pull/4711'
const NOTES = 'https://notes.example.com/sec-notes'

/** A release under an open embargo, with titles and links. */
function secretRelease(more: Partial<Release> = {}): Release {
  const changes = [someChange('1', { title: TITLE, author: 'mallory', url: LINK }), someChange('2', { title: 'docs' })]
  return frozen(someRelease({ version: '15.1.9', security: OPEN, changes, notesUrl: NOTES, ...more }))
}

/** A release after an edit by somebody who says why. */
function edited(release: Release, edit: ReleaseEdit): Release {
  return frozen(allowed(editRelease(release, edit, ruleContextOf({ reason: 'why' }))).release)
}

function lifted(release: Release): Release {
  return frozen(allowed(liftEmbargo(release, ruleContextOf())).release)
}

/** What is asked for of one change. */
function draftOf(title: string, url: string | null = null) {
  return { id: '1', title, author: 'mallory', url }
}

/** A release that was cut so many hours after NOW, and registered then unless told otherwise. */
function cut(hours: number, fixes: readonly string[] | null = null, registered = hours): Release {
  const security = fixes === null ? null : { embargoed: false, fixes, liftedAt: null }
  return someRelease({ cutAt: inHours(hours), registeredAt: inHours(registered), security })
}

t.test('a release brings an embargo where its fixes must not be known, since it was cut', async (t) => {
  const times = { cutAt: inHours(-4), registeredAt: inHours(-3.5) }
  t.strictSame(embargoOf(secretRelease(times)), EMBARGO)
  const lifted = { ...OPEN, liftedAt: inHours(-1) }
  t.strictSame(embargoOf(secretRelease({ ...times, security: lifted })), {
    ...EMBARGO,
    liftedAt: inHours(-1),
  })
  t.equal(embargoOf(someRelease()), null)
  t.equal(embargoOf(someRelease({ security: { ...OPEN, embargoed: false } })), null)
})

t.test('a release that is cut during an embargo must list every fix of it', async (t) => {
  t.equal(missingFix(cut(-3), [EMBARGO]), EMBARGO)
  t.equal(missingFix(cut(-3, []), [EMBARGO]), EMBARGO)
  t.equal(missingFix(cut(-3, ['SEC-2026-1']), [EMBARGO]), EMBARGO, 'one of two')
  t.equal(missingFix(cut(-3, ['sec-2026-1', 'sec-2026-2']), [EMBARGO]), EMBARGO, 'written otherwise')
  t.equal(missingFix(cut(-3, ['SEC-2026-2', 'SEC-0', 'SEC-2026-1']), [EMBARGO]), null)
})

t.test('a release that was cut before an embargo or after it needs nothing of it', async (t) => {
  const lifted = { ...EMBARGO, liftedAt: inHours(-2) }
  t.equal(missingFix(cut(-4.1), [EMBARGO]), null, 'before')
  t.equal(missingFix(cut(-4), [EMBARGO]), EMBARGO, 'in the moment in which it began')
  t.equal(missingFix(cut(-2.1), [lifted]), lifted, 'lifted since, but it was cut without the fix')
  t.equal(missingFix(cut(-2), [lifted]), null, 'in the moment in which it was lifted')
})

t.test('what somebody says of when a release was cut frees it from no embargo', async (t) => {
  const lifted = { ...EMBARGO, liftedAt: inHours(-2) }
  t.equal(missingFix(cut(-1, [], -2.1), [lifted]), lifted, 'registered before the lift, dated after it')
  t.equal(missingFix(cut(-1, [], -2), [lifted]), null, 'registered with the lift')
  t.equal(missingFix(cut(-9, [], -3), [EMBARGO]), EMBARGO, 'registered during the embargo, dated before it')
  t.equal(missingFix(cut(-9, [], -1), [lifted]), lifted, 'registered after it, without what it brought')
  t.equal(missingFix(cut(-9, [], -3.6), [EMBARGO]), null, 'on its way before the embargo')
  t.equal(missingFix(cut(-3.9, [], -3.6), [EMBARGO]), EMBARGO, 'cut in the embargo, whose release was registered late')
  t.equal(missingFix(cut(-1, OPEN.fixes, -2.1), [lifted]), null, 'with the fix')
})

t.test('it is said when a release came to be held', async (t) => {
  const lifted = { ...EMBARGO, liftedAt: inHours(-2) }
  t.equal(whenHeld(cut(-3), lifted), 'cut while the fix of 15.1.9 was embargoed')
  t.equal(whenHeld(cut(-1, [], -2.1), lifted), 'registered while the fix of 15.1.9 was embargoed')
  t.equal(whenHeld(cut(-9, [], -3), EMBARGO), 'registered while the fix of 15.1.9 was embargoed')
  t.equal(whenHeld(cut(-9, [], -1), lifted), 'cut before the fix of 15.1.9')
})

t.test('of several embargoes each is asked, and a release is not held against its own', async (t) => {
  const other = { ...EMBARGO, release: '15.1.8', fixes: ['SEC-2026-3'] }
  t.equal(missingFix(cut(-3, OPEN.fixes), [EMBARGO, other]), other)
  t.equal(missingFix({ ...cut(-3), version: '15.1.9' }, [EMBARGO]), null)
  t.equal(missingFix(cut(-3), []), null)
})

t.test(
  'a release with an embargoed fix is shown without fixes, titles, authors, repository, links and notes',
  async (t) => {
    const release = secretRelease({ repository: 'acme/private' })
    const secrets = new Secrets([release])
    const hidden = { title: EMBARGOED, author: EMBARGOED, url: null }
    t.strictSame(secrets.shown(release), {
      ...release,
      changes: [someChange('1', hidden), someChange('2', hidden)],
      security: { ...OPEN, fixes: [EMBARGOED, EMBARGOED] },
      notesUrl: null,
      repository: null,
    })
  },
)

t.test('another release that lists an embargoed fix is hidden with it; all others are shown as they are', async (t) => {
  const later = secretRelease({
    version: '15.2.0',
    security: { embargoed: false, fixes: ['SEC-2026-2'], liftedAt: null },
  })
  const plain = someRelease({ version: '15.3.0', notesUrl: NOTES })
  const secrets = new Secrets([secretRelease(), later, plain])
  t.strictSame(secrets.shown(later).security?.fixes, [EMBARGOED])
  t.match(secrets.shown(later).changes, [{ title: EMBARGOED }, { title: EMBARGOED }])
  t.equal(secrets.shown(plain), plain)
  const before = secretRelease({ security: null })
  t.match(
    secrets.shown(before),
    { notesUrl: null, changes: [{ title: EMBARGOED }, {}] },
    'as it was before it was known',
  )
  t.strictSame(new Secrets([secretRelease({ changes: null })]).shown(secretRelease({ changes: null })).changes, null)
})

t.test('once the embargo is lifted, everything is shown', async (t) => {
  const release = secretRelease({ security: { ...OPEN, liftedAt: inHours(-1) } })
  const secrets = new Secrets([release])
  t.ok(secrets.isEmpty)
  t.equal(secrets.shown(release), release)
  const text = `${TITLE} ${LINK} ${NOTES} SEC-2026-1`
  t.equal(secrets.words(text), text)
  t.notOk(new Secrets([release, secretRelease()]).isEmpty)
})

t.test("somebody's words that speak of an embargoed fix are hidden as a whole, however it is written", async (t) => {
  const secrets = new Secrets([secretRelease()])
  for (const text of [
    'SEC-2026-1',
    'for sec-2026-2, quickly',
    `${TITLE}!`,
    `x${TITLE.toUpperCase()}`,
    `see ${LINK}`,
    `${NOTES}#top`,
  ]) {
    t.equal(secrets.words(text), EMBARGOED, text)
  }
  for (const text of ['', 'SEC-2026', 'a hotfix', 'docs', TITLE.slice(1)]) t.equal(secrets.words(text), text, text)
})

t.test('titles too short to be meant are not looked for in words, and are hidden where they are a title', async (t) => {
  const changes = [someChange('1', { title: 'nine char' }), someChange('2', { title: 'ten\n characs' })]
  const release = secretRelease({ changes })
  const secrets = new Secrets([release])
  t.equal(secrets.words('the nine char title'), 'the nine char title')
  t.equal(secrets.words('nine char'), 'nine char')
  t.equal(secrets.words('some ten characs long'), EMBARGOED)
  t.match(secrets.shown(release).changes, [{ title: EMBARGOED }, { title: EMBARGOED }])
  const titles = ['nine char', ' NINE\u00a0CHAR ', 'the nine char title', 'nine', '', ' ']
  const shown = [EMBARGOED, EMBARGOED, 'the nine char title', 'nine', '', ' ']
  t.strictSame(secrets.hide({ changes: titles.map((title) => ({ title })) }), {
    changes: shown.map((title) => ({ title })),
  })
  const other = { reason: 'nine char', author: 'nine char', name: 'nine char' }
  t.strictSame(secrets.hide(other), other, 'only a title is one')
})

t.test('white space around a title and within it is not looked at, of whatever kind', async (t) => {
  for (const title of [
    ' sessions end  with their\tcertificate\n',
    TITLE,
    '\u3000sessions end\u00a0with their certificate',
  ]) {
    const secrets = new Secrets([secretRelease({ changes: [someChange('1', { title })] })])
    for (const text of [TITLE, `"${TITLE}".`, 'see sessions  end\r\nwith their\u2009certificate', ` ${title} `]) {
      t.equal(secrets.words(text), EMBARGOED, JSON.stringify([title, text]))
    }
  }
  const blank = new Secrets([secretRelease({ changes: [someChange('1', { title: ' '.repeat(12) })] })])
  t.equal(blank.words('a text  with blanks'), 'a text  with blanks', 'a title of blanks alone is nothing to look for')
  t.strictSame(blank.hide({ title: '' }), { title: '' })
})

t.test('a text is found in every form that Unicode has for it', async (t) => {
  const title = 'Größenprüfung der Schlüssel fehlt – é'
  const forms = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const
  for (const stored of forms) {
    const secrets = new Secrets([secretRelease({ changes: [someChange('1', { title: title.normalize(stored) })] })])
    for (const written of forms)
      t.equal(secrets.words(`: ${title.normalize(written)}!`), EMBARGOED, `${stored} ${written}`)
    t.equal(secrets.words(`${title}\u0323`), EMBARGOED, 'a mark that joins its last letter')
    t.equal(secrets.words('Größenprüfung der Schlösser fehlt – é'), 'Größenprüfung der Schlösser fehlt – é')
  }
  const secrets = new Secrets([secretRelease()])
  for (const text of [
    'ｓｅｓｓｉｏｎｓ　ｅｎｄ　ｗｉｔｈ　ｔｈｅｉｒ　ｃｅｒｔｉｆｉｃａｔｅ',
    'sessions end with their certi\ufb01cate',
    'sessions end with their cer\u00adtifi\u200bcate',
    'ses\u2060sions end with\ufeff their cert\u0334ificate',
    '\u{1d412}EC-2026-1',
    'SEC\u20112026\u20131',
    'SEC\u22122026\u207b1',
  ]) {
    t.equal(secrets.words(text), EMBARGOED, text)
  }
  const korean = new Secrets([secretRelease({ changes: [someChange('1', { title: '보안 취약점' })] })])
  t.equal(korean.words('이 보안 취약점'), '이 보안 취약점', 'six characters, in however many parts')
  t.strictSame(korean.hide({ title: '보안 취약점'.normalize('NFD') }), { title: EMBARGOED })
})

t.test('what an edit takes away stays hidden until the embargo is lifted', async (t) => {
  const before = secretRelease({
    changes: [someChange('1', { title: TITLE, url: LINK }), someChange('2', { title: 'short' })],
  })
  const corrected = edited(before, { changes: [draftOf('sessions end with the certificate')], notesUrl: null })
  const again = edited(corrected, { changes: [draftOf('another title altogether')] })
  const none = edited(again, { changes: [] })
  for (const release of [corrected, again, none]) {
    const secrets = new Secrets([release])
    for (const text of [TITLE, LINK, NOTES]) t.equal(secrets.words(`it was ${text}`), EMBARGOED, text)
    t.strictSame(secrets.hide({ title: 'short' }), { title: EMBARGOED })
    t.strictSame(secrets.shown(release).security, { ...OPEN, fixes: [EMBARGOED, EMBARGOED] }, 'nobody is shown it')
    t.strictSame(withoutPast(release).security, OPEN, 'admins neither')
  }
  t.equal(new Secrets([none]).words('sessions end with the certificate'), EMBARGOED)
  const back = edited(corrected, { changes: [draftOf(TITLE, LINK)], notesUrl: NOTES })
  t.strictSame(back.security?.earlier, { fixes: [], texts: ['short', 'sessions end with the certificate'] })
  const after = lifted(none)
  t.strictSame(after.security, { ...OPEN, liftedAt: inHours(0) }, 'and is not kept for longer')
  t.ok(new Secrets([after]).isEmpty)
})

t.test(
  'a release that lists a fix of another is hidden until that is public, though the fix is taken off its list',
  async (t) => {
    const bringer = frozen(someRelease({ version: '15.1.8', security: OPEN }))
    const security = { embargoed: false, fixes: ['sec-2026-1'], liftedAt: null }
    const before = secretRelease({ security })
    t.match(new Secrets([bringer, before]).shown(before).security?.fixes, [EMBARGOED], 'in whatever letters')
    const retitled = edited(before, { changes: [draftOf('sessions end')] })
    const mistaken = edited(retitled, { security: { fixes: ['CVE-2020-1'] } })
    const secrets = new Secrets([bringer, mistaken])
    for (const text of [TITLE, LINK, 'SEC-2026-1']) t.equal(secrets.words(text), EMBARGOED)
    t.match(secrets.shown(mistaken).changes, [{ title: EMBARGOED }])
    t.match(secrets.shown(before).changes, [{ title: EMBARGOED }, { title: EMBARGOED }])
    const open = new Secrets([lifted(bringer), mistaken])
    t.strictSame(open.shown(mistaken), { ...mistaken, security: { ...security, fixes: ['CVE-2020-1'] } })
    t.ok(open.isEmpty)
  },
)

t.test('of what edits have taken away the last 500 texts are kept', async (t) => {
  let release = secretRelease()
  for (let edits = 0; edits < 4; edits += 1) {
    const changes = Array.from({ length: 200 }, (_, index) => {
      return { id: `${index}`, title: `change ${index} of edit ${edits}`, author: 'ann', significant: false }
    })
    release = edited(release, { changes, notesUrl: null })
  }
  const texts = release.security?.earlier?.texts ?? []
  t.equal(texts.length, 500)
  t.equal(texts[0], 'change 100 of edit 0')
  t.equal(texts.at(-1), 'change 199 of edit 2')
})

t.test('a fix that one release has lifted stays public, whichever release is embargoed with it later', async (t) => {
  const first = lifted(secretRelease())
  const changes = [
    someChange('1', { title: 'a title of its own', author: 'eve', url: 'https://git.example.com/private/1' }),
  ]
  const second = frozen(
    someRelease({
      version: '15.2.0',
      registeredAt: inHours(1),
      security: { ...OPEN, fixes: ['sec-2026-1', 'SEC-2026-3'] },
      changes,
    }),
  )
  for (const security of [second.security, { ...OPEN, fixes: ['SEC-2026-1'] }]) {
    const later = { ...second, security }
    const secrets = new Secrets([later, first])
    t.notOk(secrets.isEmpty)
    t.equal(secrets.shown(first), first)
    for (const text of ['SEC-2026-1', TITLE, LINK, NOTES]) t.equal(secrets.words(text), text, text)
    t.match(secrets.shown(later), {
      security: { fixes: security?.fixes.map(() => EMBARGOED) },
      changes: [{ title: EMBARGOED, author: EMBARGOED, url: null }],
    })
    for (const text of ['a title of its own', 'https://git.example.com/private/1']) {
      t.equal(secrets.words(text), EMBARGOED, text)
    }
  }
  t.equal(new Secrets([first, second]).words('SEC-2026-3'), EMBARGOED)
  const same = new Secrets([first, secretRelease({ version: '15.2.0', registeredAt: inHours(1) })])
  t.strictSame(same.hide({ title: TITLE }), { title: TITLE }, 'nor does a later release hide its titles')
  const backport = someRelease({
    version: '15.2.1',
    security: { embargoed: false, fixes: ['SEC-2026-1'], liftedAt: null },
  })
  t.equal(new Secrets([first, second, backport]).shown(backport), backport)
  t.match(
    missingFix(
      { ...cut(1), version: '15.3.0' },
      [embargoOf(second)].flatMap((one) => one ?? []),
    ),
    { release: '15.2.0' },
  )
  t.equal(
    missingFix(
      cut(1, []),
      [embargoOf(first)].flatMap((one) => one ?? []),
    ),
    null,
  )
})

t.test(
  'a release that lists the fix of another, as it must, does not make it public when it is lifted first',
  async (t) => {
    const bringer = secretRelease()
    const listing = someRelease({
      version: '15.2.0',
      registeredAt: inHours(-1),
      security: { ...OPEN, fixes: [...OPEN.fixes, 'SEC-2026-3'] },
      changes: [someChange('1', { title: 'all holes are closed' }), someChange('2', { title: TITLE })],
    })
    const secrets = new Secrets([bringer, lifted(frozen(listing))])
    for (const text of ['SEC-2026-1', TITLE, 'all holes are closed']) t.equal(secrets.words(text), EMBARGOED, text)
    t.equal(secrets.words('SEC-2026-3'), 'SEC-2026-3', 'its own is public')
    t.strictSame(secrets.shown(lifted(frozen(listing))).changes?.[1]?.title, EMBARGOED)
    const both = new Secrets([lifted(bringer), lifted(frozen(listing))])
    t.ok(both.isEmpty)
  },
)

t.test('an edit of a release makes nothing public that its lifted embargo did not have', async (t) => {
  const first = lifted(secretRelease())
  const second = frozen(
    someRelease({
      version: '15.2.0',
      security: { ...OPEN, fixes: ['SEC-2026-3'] },
      changes: [someChange('1', { title: 'the other hole is closed' })],
    }),
  )
  const renamed = edited(first, { changes: [draftOf('the other hole is closed')] })
  // As an edit after the lift could store it in earlier builds.
  const fixes = [...OPEN.fixes, 'SEC-2026-3']
  const told = frozen({ ...renamed, security: renamed.security && { ...renamed.security, fixes } })
  const secrets = new Secrets([told, second])
  for (const text of ['SEC-2026-3', 'the other hole is closed']) t.equal(secrets.words(text), EMBARGOED, text)
  t.equal(secrets.words('SEC-2026-1'), 'SEC-2026-1', 'a fix that was lifted, and that no open embargo has')
  for (const text of [TITLE, LINK, NOTES]) t.equal(secrets.words(text), EMBARGOED, `${text}: it is hidden as a whole`)
  t.strictSame(secrets.shown(told).security?.fixes, [EMBARGOED, EMBARGOED, EMBARGOED])
  t.equal(secrets.shown(second).changes?.[0]?.title, EMBARGOED)
  const back = edited(told, { minAgentVersion: '14.0.0' })
  t.strictSame(back.security?.lifted, { fixes: OPEN.fixes, texts: [TITLE, LINK, 'docs', NOTES] }, 'once and for all')
  t.strictSame(edited(first, { minAgentVersion: '14.0.0' }).security, first.security, 'kept only where it is not there')
})

t.test('what people have written of it is hidden wherever it stands in JSON, and nothing else', async (t) => {
  const secrets = new Secrets([secretRelease()])
  const value = frozen({
    reason: `ship ${TITLE}`,
    entries: [1, true, null, 'plain', { message: ['SEC-2026-1', 'plain'], deep: { why: NOTES, detail: LINK } }],
    kept: { description: 'plain', number: 7 },
  })
  t.strictSame(secrets.hide(value), {
    reason: EMBARGOED,
    entries: [1, true, null, 'plain', { message: [EMBARGOED, 'plain'], deep: { why: EMBARGOED, detail: EMBARGOED } }],
    kept: { description: 'plain', number: 7 },
  })
  const odd = JSON.parse('{"__proto__": {"reason": "SEC-2026-1"}, "constructor": "plain"}') as Json // It is what was parsed.
  t.equal(JSON.stringify(secrets.hide(odd)), `{"__proto__":{"reason":"${EMBARGOED}"},"constructor":"plain"}`)
  t.equal(new Secrets([]).hide(value), value, 'the same value where nothing is embargoed')
})

t.test(
  'names, versions and times are never hidden: whoever chose them would learn that they are secrets',
  async (t) => {
    const secrets = new Secrets([secretRelease()])
    const names = {
      name: 'sec-2026-1',
      channel: 'sec-2026-1',
      version: '1.0.0-SEC-2026-1',
      gates: { 'sec-2026-1': [] },
      subjects: ['SEC-2026-1'],
    }
    t.strictSame(secrets.hide(names), names)
  },
)

t.test('a text is found in whatever letters it is written, and wherever it stands', async (t) => {
  // The small letter of a Greek sigma depends on whether a letter follows it.
  const title = 'ΔΙΟΡΘΩΣΗ ΘΥΡΑΣ'
  const secrets = new Secrets([secretRelease({ changes: [someChange('1', { title })] })])
  t.equal(secrets.words(title), EMBARGOED)
  t.equal(secrets.words(`${title}_1`), EMBARGOED, 'the same letters, and something behind them')
  t.equal(secrets.words(`${title}x`), EMBARGOED, 'the same letters, and another behind them')
})

/** Members in which people write. */
const WRITTEN = ['reason', 'description', 'message', 'why', 'detail', 'title', 'author', 'url', 'notesUrl'] as const

/** Ways in which somebody may write a text. */
const WAYS: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text) => text.normalize('NFD'),
  (text) => text.normalize('NFKC'),
  (text) => text.trim().replaceAll(/\s+/g, ' '),
]

/** All that is left of a text in whatever way it is written. */
function plain(text: string): string {
  const letters = text.normalize('NFKD').replaceAll(/[\p{Mn}\p{Cf}]/gu, '')
  return letters.toLowerCase().toUpperCase().replaceAll(/\s+/g, ' ').trim()
}

/** Every text in a value, names of members left out. */
function textsIn(value: Json): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap((member: Json) => textsIn(member))
}

t.test('after hiding, no embargoed text is anywhere in a journal, whatever people have written', async (t) => {
  const letters = fc.constantFrom(...'abcXYZ012 -"\\/ßéÅﬁİ\n\u0301\u0323\u00ad'.split(''), '😀')
  const fix = fc
    .string({ unit: fc.constantFrom(...'abcXYZ012._-'.split('')), minLength: 7, maxLength: 12 })
    .map((rest) => `S${rest}`)
  const title = fc.string({ unit: letters, minLength: 10, maxLength: 24 }).filter((text) => plain(text).length >= 10)
  const link = fc.option(title.map((path) => `https://git.example.com/${path}`))
  const change = fc.record({ title, url: link })
  const secret = fc.record({
    fixes: fc.uniqueArray(fix, { minLength: 1, maxLength: 3 }),
    changes: fc.array(change, { maxLength: 3 }),
    notesUrl: link,
  })
  let mentions = 0
  fc.assert(
    fc.property(
      secret.chain((drawn) => {
        const known = [
          ...drawn.fixes,
          ...drawn.changes.flatMap(({ title, url }) => [title, ...(url === null ? [] : [url])]),
        ]
        const all = drawn.notesUrl === null ? known : [...known, drawn.notesUrl]
        const mention = fc
          .tuple(
            fc.string({ unit: letters }),
            fc.constantFrom(...all),
            fc.string({ unit: letters }),
            fc.nat({ max: WAYS.length - 1 }),
          )
          .map(([before, text, after, how]) => `${before}${WAYS[how]?.(text) ?? text}${after}`)
        const { value } = fc.letrec<{ value: Json }>((tie) => ({
          value: fc.oneof(
            { maxDepth: 3 },
            mention,
            fc.string({ unit: letters }),
            fc.constantFrom(null, 7, true),
            fc.array(tie('value'), { maxLength: 3 }),
            fc.dictionary(fc.constantFrom(...WRITTEN), tie('value')),
          ),
        }))
        return fc.tuple(fc.constant({ ...drawn, all }), value)
      }),
      ([{ fixes, changes, notesUrl, all }, value]) => {
        const release = someRelease({
          security: { embargoed: true, fixes, liftedAt: null },
          changes: changes.map((change, index) => someChange(String(index), change)),
          notesUrl,
        })
        const secrets = new Secrets([release])
        const entry = { reason: value, release: releaseBody(secrets.shown(release)) }
        const speaks = (text: string): boolean => all.some((hidden) => WAYS.some((way) => text.includes(way(hidden))))
        if (textsIn(value).some(speaks)) mentions += 1
        const shown = secrets.hide(entry)
        // Where it is written in yet another way, more may be hidden.
        const means = (text: string): boolean => all.some((hidden) => plain(text).includes(plain(hidden)))
        const silent = textsIn(value).filter((text) => !speaks(text) && !means(text))
        return !textsIn(shown).some(speaks) && silent.every((text) => textsIn(shown).includes(text))
      },
    ),
    { numRuns: 1_000 },
  )
  t.ok(mentions > 300, `${mentions} of 1,000 spoke of a fix`)
})
