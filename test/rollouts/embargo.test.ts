// Embargoed fixes: which releases must have them, and that nothing of them is shown to who may not know.
import fc from 'fast-check'
import t from 'tap'
import { EMBARGOED, embargoOf, missingFix, Secrets, type Embargo } from '../../src/rollouts/embargo.ts'
import { releaseBody, type Release } from '../../src/rollouts/release.ts'
import type { Json } from '../../src/store/port.ts'
import { frozen, inHours } from '../fixtures/channel-samples.ts'
import { someChange, someRelease } from '../fixtures/rollout-samples.ts'

const OPEN = { embargoed: true, fixes: ['SEC-2026-1', 'SEC-2026-2'], liftedAt: null }
const EMBARGO: Embargo = { release: '15.1.9', fixes: OPEN.fixes, since: inHours(-4), liftedAt: null }
const TITLE = 'sessions end with their certificate'
const LINK = 'https://git.example.com/private/pull/4711'
const NOTES = 'https://notes.example.com/sec-notes'

/** A release under an open embargo, with titles and links. */
function secretRelease(more: Partial<Release> = {}): Release {
  const changes = [someChange('1', { title: TITLE, author: 'mallory', url: LINK }), someChange('2', { title: 'docs' })]
  return frozen(someRelease({ version: '15.1.9', security: OPEN, changes, notesUrl: NOTES, ...more }))
}

function cut(hours: number, fixes: readonly string[] | null = null): Release {
  const security = fixes === null ? null : { embargoed: false, fixes, liftedAt: null }
  return someRelease({ cutAt: inHours(hours), security })
}

t.test('a release brings an embargo where its fixes must not be known, since it was cut', async (t) => {
  t.strictSame(embargoOf(secretRelease({ cutAt: inHours(-4) })), EMBARGO)
  const lifted = { ...OPEN, liftedAt: inHours(-1) }
  t.strictSame(embargoOf(secretRelease({ cutAt: inHours(-4), security: lifted })), {
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

t.test('of several embargoes each is asked, and a release is not held against its own', async (t) => {
  const other = { ...EMBARGO, release: '15.1.8', fixes: ['SEC-2026-3'] }
  t.equal(missingFix(cut(-3, OPEN.fixes), [EMBARGO, other]), other)
  t.equal(missingFix({ ...cut(-3), version: '15.1.9' }, [EMBARGO]), null)
  t.equal(missingFix(cut(-3), []), null)
})

t.test('a release with an embargoed fix is shown without fixes, titles, authors, links and notes', async (t) => {
  const release = secretRelease()
  const secrets = new Secrets([release])
  const hidden = { title: EMBARGOED, author: EMBARGOED, url: null }
  t.strictSame(secrets.shown(release), {
    ...release,
    changes: [someChange('1', hidden), someChange('2', hidden)],
    security: { ...OPEN, fixes: [EMBARGOED, EMBARGOED] },
    notesUrl: null,
  })
})

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

t.test('titles too short to be meant are not looked for, and are hidden where they stand in the release', async (t) => {
  const changes = [someChange('1', { title: 'nine char' }), someChange('2', { title: 'ten  chars' })]
  const release = secretRelease({ changes })
  const secrets = new Secrets([release])
  t.equal(secrets.words('the nine char title'), 'the nine char title')
  t.equal(secrets.words('some ten  chars long'), EMBARGOED)
  t.match(secrets.shown(release).changes, [{ title: EMBARGOED }, { title: EMBARGOED }])
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

/** Every text in a value, names of members left out. */
function textsIn(value: Json): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap((member: Json) => textsIn(member))
}

t.test('after hiding, no embargoed text is anywhere in a journal, whatever people have written', async (t) => {
  const letters = fc.constantFrom(...'abcXYZ012 -"\\/ßéİ\n'.split(''), '😀')
  const fix = fc
    .string({ unit: fc.constantFrom(...'abcXYZ012._-'.split('')), minLength: 7, maxLength: 12 })
    .map((rest) => `S${rest}`)
  const title = fc.string({ unit: letters, minLength: 10, maxLength: 24 })
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
            fc.nat({ max: 2 }),
          )
          .map(
            ([before, text, after, how]) =>
              `${before}${how === 0 ? text.toUpperCase() : how === 1 ? text.toLowerCase() : text}${after}`,
          )
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
        const speaks = (text: string): boolean =>
          all.some((hidden) => text.includes(hidden) || text.toLowerCase().includes(hidden.toLowerCase()))
        if (textsIn(value).some(speaks)) mentions += 1
        const shown = secrets.hide(entry)
        // Where one letter is two in capitals, more may be hidden than was written.
        const means = (text: string): boolean =>
          all.some((hidden) => text.toLowerCase().toUpperCase().includes(hidden.toLowerCase().toUpperCase()))
        const silent = textsIn(value).filter((text) => !speaks(text) && !means(text))
        return !textsIn(shown).some(speaks) && silent.every((text) => textsIn(shown).includes(text))
      },
    ),
    { numRuns: 1_000 },
  )
  t.ok(mentions > 300, `${mentions} of 1,000 spoke of a fix`)
})
