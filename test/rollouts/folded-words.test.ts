// What an embargo hides, word by word: the same as by the plain rule, in any writing, and made once for each revision of a release.
import fc from 'fast-check'
import t from 'tap'
import { EMBARGOED, Secrets } from '../../src/rollouts/embargo.ts'
import { foldedWords, tidied } from '../../src/rollouts/folded-words.ts'
import type { Release, ReleaseWords } from '../../src/rollouts/release.ts'
import { inHours } from '../fixtures/channel-samples.ts'
import { PlainSecrets } from '../fixtures/plain-secrets.ts'
import { someChange, someRelease } from '../fixtures/rollout-samples.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const RUNS = sized(300, 30_000)
const UNITS = [
  ...[
    'a',
    'A',
    'b',
    'k',
    '1',
    '/',
    '.',
    ' ',
    '  ',
    '-',
    'ß',
    'ı',
    'İ',
    'σ',
    'ς',
    'Σ',
    'é',
    'e\u0301',
    'ﬁ',
    'ŉ',
    'ᾳ',
    'ǆ',
    '\u212a',
  ],
  ...[
    '\u00ad',
    '\u200b',
    '\u00a0',
    '\u2003',
    '\u0085',
    '\t\n',
    '–',
    '\u2011',
    '가',
    '\u1100\u1161',
    '😀',
    '\ud800',
    '\udc00',
    '\ufeff',
  ],
]
const words = fc.array(fc.constantFrom(...UNITS), { maxLength: 24, size: 'max' }).map((units) => units.join(''))
const hour = fc.integer({ min: -4, max: -1 }).map((hours) => inHours(hours))

/** The same words in another writing. */
const rewrite = fc.constantFrom<((text: string) => string)[]>(
  (text) => text,
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text) => text.normalize('NFD'),
  (text) => text.normalize('NFKC'),
  (text) => text.replaceAll(/(?<=.)(?=.)/gsu, '\u00ad'),
  (text) => text.replaceAll(' ', ' \n '),
)

const said: fc.Arbitrary<ReleaseWords> = fc.record({
  fixes: fc.array(fc.oneof(words, fc.constantFrom('CVE-2026-0001', 'cve–2026–0002')), { maxLength: 2 }),
  texts: fc.array(words, { maxLength: 3 }),
})

const release: fc.Arbitrary<Release> = fc
  .record({
    now: said,
    earlier: fc.option(said, { freq: 1 }),
    lifted: fc.option(said, { freq: 1 }),
    embargoed: fc.constantFrom(true, true, false),
    liftedAt: fc.option(hour, { freq: 1 }),
    registeredAt: hour,
    hasSecurity: fc.constantFrom(true, true, false),
  })
  .map(({ now, earlier, lifted, embargoed, liftedAt, registeredAt, hasSecurity }) => {
    const past = { ...(earlier === null ? {} : { earlier }), ...(lifted === null ? {} : { lifted }) }
    const changes = now.texts.map((title, n) =>
      someChange(String(n), { title, url: n === 1 ? `https://x/${title}` : null }),
    )
    const security = hasSecurity ? { embargoed, fixes: now.fixes, liftedAt, ...past } : null
    return someRelease({ registeredAt, changes, security, notesUrl: now.texts[0] ?? null })
  })

t.test('what is hidden is what the plain rule hides, in any writing', async (t) => {
  let hiddenCount = 0
  const quote = fc.record({ before: words, at: fc.nat(), rewritten: rewrite, after: words })
  fc.assert(
    fc.property(
      fc.array(release, { minLength: 1, maxLength: 4 }),
      fc.array(quote, { minLength: 3, maxLength: 8 }),
      (releases, quotes) => {
        const [secrets, plain] = [new Secrets(releases), new PlainSecrets(releases)]
        const known = releases.flatMap(({ changes, security, notesUrl }) => [
          ...(changes ?? []).flatMap(({ title, url }) => [title, url ?? '']),
          ...[security, security?.earlier, security?.lifted].flatMap((some) => some?.fixes ?? []),
          ...[security?.earlier, security?.lifted].flatMap((some) => some?.texts ?? []),
          notesUrl ?? '',
        ])
        for (const { before, at, rewritten, after } of quotes) {
          const quoted = rewritten(known[at % known.length] ?? '')
          for (const text of [before, quoted, `${before}${quoted}${after}`]) {
            const [asText, asTitle] = [plain.words(text), plain.title(text)]
            const shown = secrets.isEmpty ? text : secrets.words(text)
            const title = (secrets.hide({ title: text }) as { title: string }).title // What was given has no other form.
            if (shown !== asText || title !== asTitle) throw new Error(`${JSON.stringify(text)}: ${shown}, ${title}`)
            if (shown === EMBARGOED) hiddenCount += 1
          }
        }
      },
    ),
    { seed: SEED, numRuns: RUNS },
  )
  t.ok(hiddenCount > RUNS, `${hiddenCount} texts were hidden`)
})

t.test('a text is tidied as if every blank was replaced', async () => {
  fc.assert(
    fc.property(words, (text) => tidied(text) === text.replaceAll(/[\s\u0085]+/g, ' ').trim()),
    { seed: SEED, numRuns: RUNS },
  )
})

t.test('a release is folded once, and what finds its words is kept while they are the same', async (t) => {
  const security = { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: null }
  const changes = [someChange('1', { title: 'sessions end with their certificate' })]
  const one = someRelease({ version: '15.1.9', security, changes })
  t.equal(foldedWords(one).texts, foldedWords(one).texts)
  const before = new Secrets([one])
  const finder = before.finderOf(['SEC-2026-1', 'SESSIONS END WITH THEIR CERTIFICATE'])
  t.not(finder, null)
  t.equal(before.finderOf(['SEC-2026-1']), null)
  // The next revision of it says the same, and a release without an embargo has come.
  const same = new Secrets([{ ...one }, someRelease({ version: '15.2.0' })], false, before)
  t.equal(same.finderOf(['SEC-2026-1', 'SESSIONS END WITH THEIR CERTIFICATE']), finder)
  const more = new Secrets(
    [{ ...one, changes: [...changes, someChange('2', { title: 'another secret title' })] }],
    false,
    same,
  )
  t.equal(more.words('Another  secret title!'), EMBARGOED)
  t.equal(same.words('Another  secret title!'), 'Another  secret title!')
  t.equal(more.words('sessions end with THEIR certificate'), EMBARGOED)
})
