// How outcomes are made, and how text that somebody sent is shown in them.
import fc from 'fast-check'
import t from 'tap'
import { malformed, parsed, quoted, unparsed } from '../../src/channels/outcome.ts'
import { strangeText } from '../fixtures/channel-texts.ts'

t.test('outcomes say what they are', async (t) => {
  t.strictSame(parsed(7), { outcome: 'parsed', value: 7 })
  t.strictSame(unparsed('is empty'), { outcome: 'unparsed', message: 'is empty' })
  t.strictSame(malformed('until', 'has passed'), {
    outcome: 'refused',
    why: 'malformed',
    field: 'until',
    message: 'has passed',
  })
})

t.test('short text is shown whole, in quotes', async (t) => {
  t.equal(quoted(''), '""')
  t.equal(quoted('stable/cloud'), '"stable/cloud"')
  t.equal(quoted('é😀'), '"é😀"')
  t.equal(quoted('x'.repeat(80)), `"${'x'.repeat(80)}"`)
})

t.test('long text is cut at 80 characters, and the cut is shown', async (t) => {
  t.equal(quoted('x'.repeat(81)), `"${'x'.repeat(80)}…"`)
  t.equal(quoted('x'.repeat(1_000_000)), `"${'x'.repeat(80)}…"`)
})

t.test('text full of escapes is cut at 80 characters too, and never within an escape', async (t) => {
  t.equal(quoted('\u0001'.repeat(100)), `"${'\\u0001'.repeat(13)}…"`)
  t.equal(quoted('\\'.repeat(100)), `"${'\\'.repeat(80)}…"`)
  t.equal(quoted(`x${'"'.repeat(50)}`), `"x${'\\"'.repeat(39)}…"`)
})

t.test('what a terminal would act on is escaped: controls, line separators, marks of direction', async (t) => {
  t.equal(quoted('a\nb\t\0'), '"a\\nb\\t\\u0000"')
  t.equal(quoted('\u001b[31m \u007f \u0085 \u009b31m'), '"\\u001b[31m \\u007f \\u0085 \\u009b31m"')
  t.equal(quoted('\u2028\u2029\u202e\u2066\u200f'), '"\\u2028\\u2029\\u202e\\u2066\\u200f"')
  t.equal(quoted('\ud83d'), '"\\ud83d"')
})

t.test(
  'whatever is shown stands in quotes on one line of bounded length, and reads back to how it began',
  async (t) => {
    fc.assert(
      fc.property(strangeText(), (text) => {
        const shown = quoted(text)
        const back: unknown = JSON.parse(shown.replace(/…"$/, '"'))
        return (
          shown.length <= 83 &&
          !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(shown) &&
          typeof back === 'string' &&
          text.startsWith(back)
        )
      }),
      { numRuns: 1_000 },
    )
    t.pass()
  },
)
