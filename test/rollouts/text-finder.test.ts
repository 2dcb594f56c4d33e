// Finding one of many texts in another: the same answer as String.prototype.includes, however many there are.
import fc from 'fast-check'
import t from 'tap'
import { TextFinder } from '../../src/rollouts/text-finder.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const RUNS = sized(1_000, 50_000)
/** Few letters, so that texts are often in each other, or nearly. */
const letters = fc.constantFrom('a', 'b', ' ', 'ß', '\ud83d', '\ude00', '\uffff')

t.test('a text is found wherever it is, of every length, and only as a whole', async (t) => {
  for (let length = 1; length <= 40; length += 1) {
    const secret = Array.from({ length }, (_, n) => String.fromCharCode(65 + ((n * 7) % 26))).join('')
    const finder = new TextFinder([secret, 'another text', 'x'])
    for (const text of [secret, `..${secret}`, `${secret}..`, `..${secret}..`]) t.equal(finder.isIn(text), true, text)
    t.equal(
      finder.isIn(`..${secret.slice(1)}${secret.slice(0, -1)}..`),
      length > 1 && `${secret.slice(1)}${secret.slice(0, -1)}`.includes(secret),
    )
    t.equal(finder.isIn(secret.slice(1)), false)
    t.equal(finder.isIn(''), false)
  }
  t.equal(new TextFinder([]).isIn('anything at all'), false)
})

t.test('texts that begin and end alike, or repeat themselves, are told apart', async (t) => {
  const alike = Array.from({ length: 500 }, (_, n) => `https://github.com/acme/web/pull/${n}/files-of-the-backport`)
  const finder = new TextFinder(alike)
  for (const text of alike) t.equal(finder.isIn(`see ${text} and`), true)
  t.equal(finder.isIn('https://github.com/acme/web/pull/500/files-of-the-backport'), false)
  const same = new TextFinder(['a'.repeat(30), 'a'.repeat(20), 'ab'.repeat(10)])
  t.equal(same.isIn('a'.repeat(19)), false)
  t.equal(same.isIn('a'.repeat(20)), true)
  t.equal(same.isIn(`b${'ab'.repeat(9)}`), false)
})

t.test('what is found is what includes finds', async () => {
  const text = (maxLength: number) => fc.array(letters, { minLength: 1, maxLength }).map((units) => units.join(''))
  fc.assert(
    fc.property(
      fc.array(text(14), { maxLength: 30 }),
      fc.array(text(80), { minLength: 1, maxLength: 10 }),
      (secrets, texts) => {
        const finder = new TextFinder(secrets)
        for (const one of [...texts, ...secrets]) {
          const expected = secrets.some((secret) => one.includes(secret))
          if (finder.isIn(one) !== expected) throw new Error(`${JSON.stringify(one)}: ${expected} was expected`)
        }
      },
    ),
    { seed: SEED, numRuns: RUNS },
  )
})
